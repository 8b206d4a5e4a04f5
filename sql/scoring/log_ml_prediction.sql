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
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
    INSERT INTO public.ml_predictions (
        event_id, source, model_version, role, ml_confidence_raw, ml_confidence,
        rule_confidence, blended_confidence, prediction_class, features, latency_us
    )
    VALUES (
        p_pattern_id, 'external', p_model_version, 'champion', p_predicted_value, p_confidence_score,
        p_rule_confidence, p_blended_confidence, p_prediction_class, p_features, p_latency_us
    )
    RETURNING id
$function$;
COMMENT ON FUNCTION public.log_ml_prediction IS
    'Logs a prediction made elsewhere, with source external; the pattern and the version need not exist here.';
REVOKE ALL ON FUNCTION public.log_ml_prediction FROM PUBLIC;
