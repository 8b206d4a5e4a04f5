CREATE OR REPLACE FUNCTION {function}(p_features ml.feature_vector)
RETURNS double precision[]
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
    {attributes}
];
COMMENT ON FUNCTION {function}(ml.feature_vector) IS
    'The features of this model, picked by name from the catalogue, in the order that its score function takes.';
REVOKE ALL ON FUNCTION {function}(ml.feature_vector) FROM PUBLIC;
