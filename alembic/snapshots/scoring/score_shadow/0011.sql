-- Scores stored features with a version that is not acted on; an error is a result like any other.
-- Called by: ml.log_predictions. Calls: ml.finish_score, ml_generated.features_<version>, ml_generated.score_<version>.
-- Reads: ml_models, ml_calibrators. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.score_shadow(
    p_version text,
    p_calibrator_version text,
    p_symbol text,
    p_timeframe text,
    p_features jsonb,
    p_rule_confidence double precision,
    p_ml_weight double precision,
    p_rule_weight double precision,
    OUT features double precision[],
    OUT ml_confidence_raw double precision,
    OUT ml_confidence double precision,
    OUT blended_confidence double precision,
    OUT prediction_class text,
    OUT calibrator_version text,
    OUT fallback_reason text,
    OUT error_sqlstate text,
    OUT latency_us integer,
    OUT cold boolean
)
LANGUAGE plpgsql
STABLE
AS $function$
DECLARE
    v_started timestamptz := pg_catalog.clock_timestamp();
    v_context ml.scoring_context;
    v_probabilities double precision[];
    v_score ml.event_score;
BEGIN
    cold := pg_catalog.strpos(
        coalesce(pg_catalog.current_setting('ml.warm_versions', true), ''), '/' || p_version || '/') = 0;
    BEGIN
        SELECT model.version, model.classes INTO v_context.model_version, v_context.classes
        FROM public.ml_models AS model WHERE model.version = p_version;
        SELECT calibrator.calibrator_version, calibrator.method, calibrator.a, calibrator.b, calibrator.knots_x, calibrator.knots_y
        INTO v_context.calibrator_version, v_context.calibration_method, v_context.calibration_a,
            v_context.calibration_b, v_context.knots_x, v_context.knots_y
        FROM public.ml_calibrators AS calibrator
        WHERE calibrator.calibrator_version = p_calibrator_version OR (
            calibrator.parent_version = p_calibrator_version AND calibrator.timeframe = p_timeframe
            AND (calibrator.symbol = p_symbol OR calibrator.symbol IS NULL)
        )
        ORDER BY calibrator.symbol NULLS LAST, calibrator.timeframe NULLS LAST LIMIT 1;
        v_context.ml_weight := p_ml_weight;
        v_context.rule_weight := p_rule_weight;
        EXECUTE pg_catalog.format(
            'SELECT f.features, ml_generated.%I(f.features) FROM (SELECT ml_generated.%I($1) AS features OFFSET 0) AS f',
            'score_' || p_version, 'features_' || p_version
        ) INTO features, v_probabilities USING pg_catalog.jsonb_populate_record(NULL::ml.feature_vector, p_features);
        v_score := ml.finish_score(v_context, v_probabilities, p_rule_confidence);
        fallback_reason := v_score.fallback_reason;
        calibrator_version := v_context.calibrator_version;
    EXCEPTION WHEN OTHERS THEN
        v_score := NULL;
        fallback_reason := 'error';
        error_sqlstate := SQLSTATE;
    END;
    ml_confidence_raw := v_score.ml_confidence_raw;
    ml_confidence := v_score.ml_confidence;
    blended_confidence := v_score.blended_confidence;
    prediction_class := v_score.prediction_class;
    IF cold THEN
        PERFORM pg_catalog.set_config(
            'ml.warm_versions',
            coalesce(pg_catalog.current_setting('ml.warm_versions', true), '') || '/' || p_version || '/', false);
    END IF;
    latency_us := least(
        extract(epoch FROM pg_catalog.clock_timestamp() - v_started) * 1000000, 2147483647)::integer;
END
$function$;
COMMENT ON FUNCTION ml.score_shadow IS
    'Scores stored features with a version that is not acted on; an error is a result like any other.';
REVOKE ALL ON FUNCTION ml.score_shadow FROM PUBLIC;
