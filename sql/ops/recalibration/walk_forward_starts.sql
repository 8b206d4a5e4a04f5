-- Begins of four consecutive blocks of equally many rows, after the first 40 % or after a given time.
-- Called by: ml.recalibrate, ml.tune_blend_weights. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.walk_forward_starts(p_rows ml.calibration_row[], p_after timestamptz DEFAULT NULL)
RETURNS timestamptz[]
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- Boundaries are instants, the same for all symbols; equal ones are one.
    SELECT array_agg(DISTINCT block.start ORDER BY block.start)
    FROM (
        SELECT min(later.detected_at) AS start
        FROM (
            SELECT given.detected_at, ntile(4) OVER (ORDER BY given.detected_at) AS block
            FROM (
                SELECT g.detected_at, cume_dist() OVER (ORDER BY g.detected_at) AS share FROM unnest(p_rows) AS g
            ) AS given
            WHERE CASE WHEN p_after IS NULL THEN given.share > 0.4 ELSE given.detected_at > p_after END
        ) AS later
        GROUP BY later.block
    ) AS block
$function$;
COMMENT ON FUNCTION ml.walk_forward_starts IS
    'Begins of four consecutive blocks of equally many rows, after the first 40 % or after a given time.';
REVOKE ALL ON FUNCTION ml.walk_forward_starts FROM PUBLIC;
