-- A calibrator is immutable.
-- Called by: UPDATE of ml_calibrators. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_calibrators_10_refuse_change
BEFORE UPDATE ON public.ml_calibrators
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER ml_calibrators_10_refuse_change ON public.ml_calibrators IS 'A calibrator is immutable.';
