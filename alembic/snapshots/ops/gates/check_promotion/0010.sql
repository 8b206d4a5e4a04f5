-- Checks the gates of a version and stores what they said, without switching; a refused promotion itself stores nothing.
-- Called by: operators, trainer promote. Calls: ml.newest_calibrator, ml.check_model, ml.store_gate_results.
-- Reads: ml_models. Writes: ml_gate_results.

CREATE OR REPLACE FUNCTION ml.check_promotion(p_version text)
RETURNS SETOF public.ml_gate_results
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_calibrator text := ml.newest_calibrator(p_version);
BEGIN
    IF NOT EXISTS (SELECT FROM public.ml_models AS model WHERE model.version = p_version) THEN
        RAISE EXCEPTION 'model version % is not registered: deploy it first', coalesce(p_version, 'NULL')
            USING ERRCODE = 'no_data_found';
    END IF;
    RETURN QUERY SELECT stored.*
    FROM (
        SELECT jsonb_agg(to_jsonb(result)) AS gates FROM ml.check_model(p_version, v_calibrator) AS result
    ) AS found
    CROSS JOIN LATERAL ml.store_gate_results(p_version, v_calibrator, 'check', found.gates) AS stored;
END
$function$;
COMMENT ON FUNCTION ml.check_promotion IS
    'Checks the gates of a version and stores what they said, without switching; a refused promotion itself stores nothing.';
REVOKE ALL ON FUNCTION ml.check_promotion FROM PUBLIC;
