-- The history of alerts is append-only.
-- Called by: UPDATE of ml_alert_transitions. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_alert_transitions_10_refuse_change
BEFORE UPDATE ON public.ml_alert_transitions
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_alert_transitions_10_refuse_change ON public.ml_alert_transitions IS 'The history of alerts is append-only.';
