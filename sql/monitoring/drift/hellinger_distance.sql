-- Hellinger distance of two histograms, 0 to 1.
-- Called by: ml.measure_drift. Calls: nothing. Reads: nothing. Writes: nothing.

-- Equals NannyML 0.13 (hellinger). The shorter histogram is filled up with empty bins. An empty histogram, or one with a
-- negative count: NULL.
CREATE OR REPLACE FUNCTION ml.hellinger_distance(p_reference bigint[], p_current bigint[])
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN bool_and(share.p >= 0 AND share.q >= 0) THEN
            sqrt(sum(CASE WHEN share.p = share.q THEN 0 ELSE (sqrt(greatest(share.p, 0)) - sqrt(greatest(share.q, 0))) ^ 2 END))
            / sqrt(2::double precision)
    END
    FROM (
        SELECT
            coalesce(bin.reference, 0) / nullif(sum(bin.reference) OVER (), 0)::double precision AS p,
            coalesce(bin.current, 0) / nullif(sum(bin.current) OVER (), 0)::double precision AS q
        FROM unnest(p_reference, p_current) AS bin (reference, current)
    ) AS share
$function$;
COMMENT ON FUNCTION ml.hellinger_distance IS 'Hellinger distance of two histograms, 0 to 1.';
REVOKE ALL ON FUNCTION ml.hellinger_distance FROM PUBLIC;
