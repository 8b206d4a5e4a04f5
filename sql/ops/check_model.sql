-- Gates of a promotion, one row each, with the number, its threshold and a sentence; stores nothing.
-- Called by: ml.promote, ml.check_promotion, operators.
-- Calls: ml.newest_calibrator, ml.check_artefact, ml.check_quality. Reads: ml_gates. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.check_model(p_version text, p_calibrator_version text DEFAULT NULL)
RETURNS TABLE (
    gate text,
    passed boolean,
    blocking boolean,
    value double precision,
    threshold double precision,
    detail text
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- A gate without a row in ml_gates has nothing to compare with: it fails, and says so.
    SELECT
        found.gate,
        found.passed AND known.gate IS NOT NULL,
        coalesce(known.blocking, true),
        found.value,
        found.threshold,
        found.detail || CASE WHEN known.gate IS NULL THEN ' (table ml_gates has no row of this gate: restore it)' ELSE '' END
    FROM (
        SELECT * FROM ml.check_artefact(p_version)
        UNION ALL
        SELECT * FROM ml.check_quality(p_version, coalesce(p_calibrator_version, ml.newest_calibrator(p_version)))
    ) AS found
    LEFT JOIN public.ml_gates AS known ON known.gate = found.gate
$function$;
COMMENT ON FUNCTION ml.check_model IS
    'Gates of a promotion, one row each, with the number, its threshold and a sentence; stores nothing.';
REVOKE ALL ON FUNCTION ml.check_model FROM PUBLIC;
