-- Logs what an UPDATE has scored, once per statement; transition tables allow one event per trigger.
-- Called by: UPDATE of pattern_events. Calls: ml.log_predictions. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER pattern_events_90_log_update
AFTER UPDATE ON public.pattern_events
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION ml.log_predictions();
COMMENT ON TRIGGER pattern_events_90_log_update ON public.pattern_events IS
    'Logs what an UPDATE has scored, once per statement; transition tables allow one event per trigger.';
