-- Class probabilities of one feature vector by the compiled model of a version.
-- Called by: ml.score_pattern_event, ml.check_model. Calls: ml_generated.features_<version>, ml_generated.score_<version>.
-- Reads: nothing. Writes: nothing.

-- STABLE, not VOLATILE: the statement's snapshot must hold for every row of a batch.
CREATE OR REPLACE FUNCTION ml.score_features(p_version text, p_features ml.feature_vector)
RETURNS double precision[]
LANGUAGE plpgsql
STABLE
AS $function$
DECLARE
    v_probabilities double precision[];
BEGIN
    EXECUTE pg_catalog.format(
        'SELECT ml_generated.%I(ml_generated.%I($1))', 'score_' || p_version, 'features_' || p_version
    ) INTO v_probabilities USING p_features;
    RETURN v_probabilities;
END
$function$;
COMMENT ON FUNCTION ml.score_features IS 'Class probabilities of one feature vector by the compiled model of a version.';
