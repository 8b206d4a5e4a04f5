-- Insert the events that are not there yet and count them; asked first, so that known ones are not scored for nothing.
-- Called by: trainer.harvest. Calls: nothing. Reads: incoming_events (temporary). Writes: public.pattern_events.

WITH written AS (
    INSERT INTO public.pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence, metadata)
    SELECT i.id, i.symbol, i.timeframe, i.pattern_type, i.detected_at, i.rule_confidence, i.metadata::jsonb
    FROM pg_temp.incoming_events AS i
    WHERE NOT EXISTS (SELECT FROM public.pattern_events AS e WHERE e.id = i.id)
    ORDER BY i.detected_at, i.id
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)

SELECT count(*) AS new_events FROM written
