-- Logs what an INSERT has scored, once per statement.
-- Called by: INSERT into pattern_events. Calls: ml.log_predictions. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER pattern_events_90_log_insert
AFTER INSERT ON public.pattern_events
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION ml.log_predictions();
COMMENT ON TRIGGER pattern_events_90_log_insert ON public.pattern_events IS
    'Logs what an INSERT has scored, once per statement.';
