-- Scores an event before it is stored; an UPDATE scores again only when it names an input column.
-- Called by: INSERT and UPDATE of pattern_events. Calls: ml.score_pattern_event. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER pattern_events_10_score
BEFORE INSERT OR UPDATE OF
    symbol, timeframe, pattern_type, direction, detected_at, start_at,
    entry_price, target_price, stop_price, support, resistance, rule_confidence
ON public.pattern_events
FOR EACH ROW EXECUTE FUNCTION ml.score_pattern_event();
COMMENT ON TRIGGER pattern_events_10_score ON public.pattern_events IS
    'Scores an event before it is stored; an UPDATE scores again only when it names an input column.';
