-- A recorded hash is immutable.
-- Called by: UPDATE of ml.model_functions. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER model_functions_10_refuse_change
BEFORE UPDATE ON ml.model_functions
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER model_functions_10_refuse_change ON ml.model_functions IS 'A recorded hash is immutable.';
