-- Wasserstein distance of two samples, by default in population standard deviations of the reference.
-- Called by: ml.measure_drift. Calls: nothing. Reads: nothing. Writes: nothing.

-- Equals scipy 1.17 stats.wasserstein_distance, normalised as Evidently 0.7 (wasserstein) does it: by the standard deviation,
-- or by 0.001 when that is smaller. NULL, NaN, infinite values and those beyond 1e100 are left out. An empty sample: NULL.
CREATE OR REPLACE FUNCTION ml.wasserstein_distance(
    p_reference double precision[],
    p_current double precision[],
    p_normalised boolean DEFAULT true
)
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN min(step.reference_total) > 0 AND min(step.current_total) > 0 THEN coalesce(sum(
            CASE
                -- Postgres refuses to round a product down to zero.
                WHEN step.gap < 1e-200 OR step.reference_share = step.current_share THEN 0
                ELSE abs(step.reference_share - step.current_share) * step.gap
            END
        ), 0) / CASE
            WHEN p_normalised THEN greatest(
                (SELECT stddev_pop(value) FROM unnest(p_reference) AS value WHERE value BETWEEN -1e100 AND 1e100), 0.001)
            ELSE 1
        END
    END
    FROM (
        SELECT
            level.reference_total,
            level.current_total,
            lead(level.value) OVER (ORDER BY level.value) - level.value AS gap,
            sum(level.in_reference) OVER (ORDER BY level.value) / nullif(level.reference_total, 0) AS reference_share,
            sum(level.in_current) OVER (ORDER BY level.value) / nullif(level.current_total, 0) AS current_share
        FROM (
            SELECT
                both_samples.value,
                sum(both_samples.in_reference) AS in_reference,
                sum(both_samples.in_current) AS in_current,
                sum(sum(both_samples.in_reference)) OVER () AS reference_total,
                sum(sum(both_samples.in_current)) OVER () AS current_total
            FROM (
                SELECT value, 1::double precision AS in_reference, 0::double precision AS in_current
                FROM unnest(p_reference) AS value
                UNION ALL
                SELECT value, 0, 1 FROM unnest(p_current) AS value
            ) AS both_samples
            WHERE both_samples.value BETWEEN -1e100 AND 1e100
            GROUP BY both_samples.value
        ) AS level
    ) AS step
$function$;
COMMENT ON FUNCTION ml.wasserstein_distance IS
    'Wasserstein distance of two samples, by default in population standard deviations of the reference.';
REVOKE ALL ON FUNCTION ml.wasserstein_distance FROM PUBLIC;
