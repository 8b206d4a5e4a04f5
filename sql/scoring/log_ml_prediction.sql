-- Logs a prediction made elsewhere, with source external; the pattern and the version need not exist here.
-- Called by: applications. Calls: nothing. Reads: nothing. Writes: ml_predictions.

CREATE OR REPLACE FUNCTION public.log_ml_prediction(
    p_pattern_id uuid,
    p_model_version text,
    p_predicted_value double precision,
    p_confidence_score double precision,
    p_rule_confidence double precision DEFAULT NULL,
    p_blended_confidence double precision DEFAULT NULL,
    p_prediction_class text DEFAULT NULL,
    p_features double precision[] DEFAULT NULL,
    p_latency_us integer DEFAULT NULL
)
RETURNS uuid
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_id uuid;
BEGIN
    IF p_pattern_id IS NULL THEN
        RAISE EXCEPTION 'p_pattern_id is NULL: give the pattern that was scored, or 00000000-0000-0000-0000-000000000000'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_model_version IS NULL THEN
        RAISE EXCEPTION 'p_model_version is NULL: give the version that scored, whatever it is called'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_confidence_score IS NULL THEN
        RAISE EXCEPTION 'p_confidence_score is NULL: give a number from 0 to 1' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- NaN sorts above every number; what is NULL passes.
    IF p_confidence_score < 0 OR p_confidence_score > 1 THEN
        RAISE EXCEPTION 'p_confidence_score is %: it must be from 0 to 1', p_confidence_score
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_rule_confidence < 0 OR p_rule_confidence > 1 THEN
        RAISE EXCEPTION 'p_rule_confidence is %: it must be from 0 to 1', p_rule_confidence
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_blended_confidence < 0 OR p_blended_confidence > 1 THEN
        RAISE EXCEPTION 'p_blended_confidence is %: it must be from 0 to 1', p_blended_confidence
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_latency_us < 0 THEN
        RAISE EXCEPTION 'p_latency_us is %: it must be microseconds, 0 or more', p_latency_us
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.ml_predictions (
        event_id, source, model_version, role, ml_confidence_raw, ml_confidence,
        rule_confidence, blended_confidence, prediction_class, features, latency_us
    )
    VALUES (
        p_pattern_id, 'external', p_model_version, 'champion', p_predicted_value, p_confidence_score,
        p_rule_confidence, p_blended_confidence, p_prediction_class, p_features, p_latency_us
    )
    RETURNING id INTO v_id;
    RETURN v_id;
END
$function$;
COMMENT ON FUNCTION public.log_ml_prediction IS
    'Logs a prediction made elsewhere, with source external; the pattern and the version need not exist here.';
REVOKE ALL ON FUNCTION public.log_ml_prediction FROM PUBLIC;
