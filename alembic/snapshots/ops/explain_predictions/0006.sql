-- Exact contributions of every score logged in a period: a row per prediction and feature, for reports and exports.
-- Called by: people and applications. Calls: ml.explain_features. Reads: ml_predictions, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.explain_predictions(p_since timestamptz, p_until timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    prediction_id uuid,
    event_id uuid,
    model_version text,
    feature text,
    value double precision,
    contribution double precision,
    rank integer
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        prediction.id, prediction.event_id, prediction.model_version,
        explained.feature, explained.value, explained.contribution, explained.rank
    FROM public.ml_predictions AS prediction
    CROSS JOIN LATERAL ml.explain_features(prediction.model_version, prediction.features) AS explained
    WHERE prediction.predicted_at >= p_since
        AND prediction.predicted_at < p_until
        AND prediction.features IS NOT NULL
        -- A model that was compiled without an explanation is left out.
        AND pg_catalog.to_regproc(
            pg_catalog.format('ml_generated.%I', 'explain_' || prediction.model_version)) IS NOT NULL
$function$;
COMMENT ON FUNCTION ml.explain_predictions IS
    'Exact contributions of every score logged in a period: a row per prediction and feature, for reports and exports.';
REVOKE ALL ON FUNCTION ml.explain_predictions FROM PUBLIC;
