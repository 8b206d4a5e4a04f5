-- What a baseline says is never changed.
-- Called by: UPDATE OR DELETE of ml_baseline_performance. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_baseline_performance_10_refuse_change
BEFORE UPDATE OR DELETE ON public.ml_baseline_performance
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_baseline_performance_10_refuse_change ON public.ml_baseline_performance IS
    'What a baseline says is never changed.';
