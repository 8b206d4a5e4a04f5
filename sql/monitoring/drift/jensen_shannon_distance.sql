-- Jensen-Shannon distance of two histograms, 0 to 1 with base 2: the square root of the divergence.
-- Called by: ml.measure_drift. Calls: nothing. Reads: nothing. Writes: nothing.

-- J. Lin (1991); equals scipy 1.17 spatial.distance.jensenshannon(base=p_base). Base 2 is NannyML's choice, e Evidently's.
-- The shorter histogram is filled up with empty bins. An empty histogram, or one with a negative count: NULL.
CREATE OR REPLACE FUNCTION ml.jensen_shannon_distance(
    p_reference bigint[],
    p_current bigint[],
    p_base double precision DEFAULT 2
)
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN bool_and(share.p >= 0 AND share.q >= 0) AND p_base > 0 AND p_base <> 1 THEN
            sqrt(greatest((
                sum(CASE WHEN share.p > 0 THEN share.p * ln(share.p / ((share.p + share.q) / 2)) ELSE 0 END)
                + sum(CASE WHEN share.q > 0 THEN share.q * ln(share.q / ((share.p + share.q) / 2)) ELSE 0 END)
            ) / ln(p_base) / 2, 0))
    END
    FROM (
        SELECT
            coalesce(bin.reference, 0) / nullif(sum(bin.reference) OVER (), 0)::double precision AS p,
            coalesce(bin.current, 0) / nullif(sum(bin.current) OVER (), 0)::double precision AS q
        FROM unnest(p_reference, p_current) AS bin (reference, current)
    ) AS share
$function$;
COMMENT ON FUNCTION ml.jensen_shannon_distance IS
    'Jensen-Shannon distance of two histograms, 0 to 1 with base 2: the square root of the divergence.';
REVOKE ALL ON FUNCTION ml.jensen_shannon_distance FROM PUBLIC;
