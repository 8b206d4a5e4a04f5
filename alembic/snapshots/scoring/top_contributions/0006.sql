-- The five features that moved one score most, for the log; NULL when the model cannot say.
-- Called by: ml.log_predictions. Calls: ml.compute_contributions. Reads: pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.top_contributions(p_version text, p_features double precision[])
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_computed record;
BEGIN
    IF to_regproc(format('ml_generated.%I', 'explain_' || p_version)) IS NULL
        AND to_regproc(format('ml_generated.%I', 'attribute_' || p_version)) IS NULL
    THEN
        RETURN NULL;
    END IF;
    v_computed := ml.compute_contributions(p_version, p_features, false);
    RETURN (
        SELECT jsonb_agg(jsonb_build_object(
            'rank', top.rank, 'feature', v_computed.feature_names[top.place], 'value', p_features[top.place],
            'contribution', top.contribution, 'method', v_computed.method) ORDER BY top.rank)
        FROM (
            SELECT one.place, one.contribution, row_number() OVER () AS rank
            FROM (
                SELECT given.place, given.contribution
                FROM unnest(v_computed.contributions) WITH ORDINALITY AS given (contribution, place)
                WHERE given.contribution <> 0
                ORDER BY abs(given.contribution) DESC, given.place
                LIMIT 5
            ) AS one
        ) AS top
    );
-- A score without its explanation is still worth a row in the log.
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.top_contributions IS
    'The five features that moved one score most, for the log; NULL when the model cannot say.';
REVOKE ALL ON FUNCTION ml.top_contributions FROM PUBLIC;
