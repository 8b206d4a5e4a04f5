-- The history of switches is append-only.
-- Called by: UPDATE OR DELETE of ml_deployments. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_deployments_10_refuse_change
BEFORE UPDATE OR DELETE ON public.ml_deployments
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_deployments_10_refuse_change ON public.ml_deployments IS 'The history of switches is append-only.';
