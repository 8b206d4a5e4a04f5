-- Stores what the gates of a version said, as rows.
-- Called by: ml.promote, ml.check_promotion. Calls: nothing. Reads: nothing. Writes: ml_gate_results.

CREATE OR REPLACE FUNCTION ml.store_gate_results(
    p_version text,
    p_calibrator_version text,
    p_action text,
    p_gates jsonb,
    p_deployment_id bigint DEFAULT NULL
)
RETURNS SETOF public.ml_gate_results
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $function$
    INSERT INTO public.ml_gate_results (
        version, calibrator_version, action, gate, passed, blocking, value, threshold, detail, deployment_id
    )
    SELECT
        p_version, p_calibrator_version, p_action, found.gate, found.passed, found.blocking, found.value, found.threshold,
        found.detail, p_deployment_id
    FROM jsonb_array_elements(p_gates) WITH ORDINALITY AS given (result, place)
    CROSS JOIN LATERAL jsonb_to_record(given.result) AS found (
        gate text, passed boolean, blocking boolean, value double precision, threshold double precision, detail text
    )
    ORDER BY given.place
    RETURNING *
$function$;
COMMENT ON FUNCTION ml.store_gate_results IS 'Stores what the gates of a version said, as rows.';
REVOKE ALL ON FUNCTION ml.store_gate_results FROM PUBLIC;
