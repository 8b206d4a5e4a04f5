-- The compiled functions of a version as installed now, each with the SHA-256 of what it is and does.
-- Called by: ml.record_functions, ml.check_artefact. Calls: nothing. Reads: ml_models, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.function_hashes(p_version text)
RETURNS TABLE (function_name text, sha256 text)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        p.proname::text,
        encode(sha256(convert_to(jsonb_build_array(
            oidvectortypes(p.proargtypes), format_type(p.prorettype, NULL), p.proretset, l.lanname,
            p.provolatile, p.proisstrict, p.prosecdef, p.proconfig, p.prosrc
        )::text, 'UTF8')), 'hex')
    FROM pg_proc AS p
    JOIN pg_language AS l ON l.oid = p.prolang
    CROSS JOIN LATERAL (SELECT substring(p.proname FROM '^(?:score|features|explain|attribute)_(.*)$') AS rest) AS name
    WHERE p.pronamespace = 'ml_generated'::regnamespace
        AND (name.rest = p_version OR starts_with(name.rest, p_version || '_'))
        -- score_a_b belongs to version a_b where there is one, and is a form of version a otherwise.
        AND NOT EXISTS (
            SELECT FROM public.ml_models AS other
            WHERE starts_with(other.version, p_version || '_')
                AND (name.rest = other.version OR starts_with(name.rest, other.version || '_'))
        )
$function$;
COMMENT ON FUNCTION ml.function_hashes IS
    'The compiled functions of a version as installed now, each with the SHA-256 of what it is and does.';
REVOKE ALL ON FUNCTION ml.function_hashes FROM PUBLIC;
