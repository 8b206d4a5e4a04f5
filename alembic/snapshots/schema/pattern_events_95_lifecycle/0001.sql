-- Records changes of status, once per statement.
-- Called by: UPDATE of pattern_events. Calls: ml.record_status_changes. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER pattern_events_95_lifecycle
AFTER UPDATE ON public.pattern_events
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION ml.record_status_changes();
COMMENT ON TRIGGER pattern_events_95_lifecycle ON public.pattern_events IS
    'Records changes of status, once per statement.';
