-- The five features that moved one score most, for the log; NULL when the model cannot say.
-- Called by: ml.log_predictions. Calls: ml.explain_features. Reads: pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.top_contributions(p_version text, p_features double precision[])
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF pg_catalog.to_regproc(pg_catalog.format('ml_generated.%I', 'explain_' || p_version)) IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object(
                'rank', explained.rank, 'feature', explained.feature, 'value', explained.value,
                'contribution', explained.contribution, 'method', explained.method)
            ORDER BY explained.rank
        )
        FROM ml.explain_features(p_version, p_features, false) AS explained
        WHERE explained.rank <= 5 AND explained.contribution <> 0
    );
-- A score without its explanation is still worth a row in the log.
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.top_contributions IS
    'The five features that moved one score most, for the log; NULL when the model cannot say.';
REVOKE ALL ON FUNCTION ml.top_contributions FROM PUBLIC;
