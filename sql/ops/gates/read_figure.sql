-- A figure of an evaluation with its interval, from {"value", "low", "high"} or from a bare number; NULL where it has none.
-- Called by: ml.check_quality, ml.stated_calibration_error. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.read_figure(
    p_figure jsonb,
    OUT value double precision,
    OUT low double precision,
    OUT high double precision
)
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        CASE jsonb_typeof(p_figure)
            WHEN 'number' THEN p_figure::double precision
            WHEN 'object' THEN CASE WHEN jsonb_typeof(p_figure -> 'value') = 'number' THEN (p_figure -> 'value')::double precision END
        END,
        CASE WHEN jsonb_typeof(p_figure -> 'low') = 'number' THEN (p_figure -> 'low')::double precision END,
        CASE WHEN jsonb_typeof(p_figure -> 'high') = 'number' THEN (p_figure -> 'high')::double precision END
$function$;
COMMENT ON FUNCTION ml.read_figure IS
    'A figure of an evaluation with its interval, from {"value", "low", "high"} or from a bare number; NULL where it has none.';
REVOKE ALL ON FUNCTION ml.read_figure FROM PUBLIC;
