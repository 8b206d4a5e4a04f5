-- Baselines never change: what drifted is measured against what was frozen.
-- Called by: UPDATE OR DELETE of ml_baseline_features. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_baseline_features_10_refuse_change
BEFORE UPDATE OR DELETE ON public.ml_baseline_features
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_baseline_features_10_refuse_change ON public.ml_baseline_features IS
    'Baselines never change: what drifted is measured against what was frozen.';
