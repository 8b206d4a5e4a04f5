-- Population stability index of two histograms; an empty bin counts as a share of 0.0001, or less where shares are small.
-- Called by: ml.measure_drift. Calls: nothing. Reads: nothing. Writes: nothing.

-- Equals Evidently 0.7 (psi): on each side by itself a share of 0 becomes 0.0001, or the smallest share / 10^6 when that is
-- 0.0001 or less; nothing is scaled back to a sum of 1. Bins that are empty on both sides count too. The shorter
-- histogram is filled up with empty bins. An empty histogram, or one with a negative count: NULL.
CREATE OR REPLACE FUNCTION ml.population_stability_index(p_reference bigint[], p_current bigint[])
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN bool_and(filled.p > 0 AND filled.q > 0) THEN
            sum(CASE WHEN filled.p > 0 AND filled.q > 0 THEN (filled.p - filled.q) * ln(filled.p / filled.q) END)
    END
    FROM (
        SELECT
            CASE
                WHEN share.p <> 0 THEN share.p
                WHEN share.smallest_p <= 0.0001 THEN share.smallest_p / 1e6
                ELSE 0.0001
            END AS p,
            CASE
                WHEN share.q <> 0 THEN share.q
                WHEN share.smallest_q <= 0.0001 THEN share.smallest_q / 1e6
                ELSE 0.0001
            END AS q
        FROM (
            SELECT
                ratio.p,
                ratio.q,
                min(nullif(ratio.p, 0)) OVER () AS smallest_p,
                min(nullif(ratio.q, 0)) OVER () AS smallest_q
            FROM (
                SELECT
                    coalesce(bin.reference, 0) / nullif(sum(bin.reference) OVER (), 0)::double precision AS p,
                    coalesce(bin.current, 0) / nullif(sum(bin.current) OVER (), 0)::double precision AS q
                FROM unnest(p_reference, p_current) AS bin (reference, current)
            ) AS ratio
        ) AS share
        -- Without one of the totals there is no share to fill in.
        WHERE share.smallest_p IS NOT NULL AND share.smallest_q IS NOT NULL
    ) AS filled
$function$;
COMMENT ON FUNCTION ml.population_stability_index IS
    'Population stability index of two histograms; an empty bin counts as a share of 0.0001, or less where shares are small.';
REVOKE ALL ON FUNCTION ml.population_stability_index FROM PUBLIC;
