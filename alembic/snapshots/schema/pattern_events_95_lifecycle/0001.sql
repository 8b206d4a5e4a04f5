-- Records a change of status after the row is stored.
-- Called by: UPDATE of pattern_events.status. Calls: ml.record_status_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER pattern_events_95_lifecycle
AFTER UPDATE OF status ON public.pattern_events
FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status)
EXECUTE FUNCTION ml.record_status_change();
COMMENT ON TRIGGER pattern_events_95_lifecycle ON public.pattern_events IS
    'Records a change of status after the row is stored.';
