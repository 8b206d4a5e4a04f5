-- The record of gates is append-only.
-- Called by: UPDATE OR DELETE of ml_gate_results. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_gate_results_10_refuse_change
BEFORE UPDATE OR DELETE ON public.ml_gate_results
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_gate_results_10_refuse_change ON public.ml_gate_results IS 'The record of gates is append-only.';
