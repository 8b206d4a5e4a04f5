CREATE OR REPLACE FUNCTION {function}(p_features ml.feature_vector)
RETURNS double precision[]
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
BEGIN
    -- Not a SQL function: inlining 60 elements into a dynamic statement costs ten times more than this call.
    RETURN ARRAY[
        {attributes}
    ];
END
$function$;
COMMENT ON FUNCTION {function}(ml.feature_vector) IS
    'The features of this model, picked by name from the catalogue, in the order that its score function takes.';
REVOKE ALL ON FUNCTION {function}(ml.feature_vector) FROM PUBLIC;
