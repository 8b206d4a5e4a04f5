-- A registered model is immutable.
-- Called by: UPDATE of ml_models. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_models_10_refuse_change
BEFORE UPDATE ON public.ml_models
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_models_10_refuse_change ON public.ml_models IS 'A registered model is immutable.';
