-- A recorded definition is immutable.
-- Called by: UPDATE of ml.model_features. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER model_features_10_refuse_change
BEFORE UPDATE ON ml.model_features
FOR EACH ROW EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER model_features_10_refuse_change ON ml.model_features IS 'A recorded definition is immutable.';
