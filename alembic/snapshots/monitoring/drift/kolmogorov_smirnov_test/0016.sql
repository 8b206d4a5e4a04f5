-- Two-sample Kolmogorov-Smirnov test: the largest distance of the empirical distribution functions, and its p-value.
-- Called by: ml.measure_drift. Calls: ml.smirnov_survival. Reads: nothing. Writes: nothing.

-- The statistic equals scipy 1.17 stats.ks_2samp. NULL, NaN, infinite values and those beyond 1e100 are left out. An empty
-- sample: NULLs.
CREATE OR REPLACE FUNCTION ml.kolmogorov_smirnov_test(
    p_reference double precision[],
    p_current double precision[],
    OUT statistic double precision,
    OUT p_value double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_reference bigint;
    v_current bigint;
    v_lattice bigint;
BEGIN
    -- In whole numbers: the distance times both sample sizes.
    SELECT
        max(step.reference_total), max(step.current_total),
        max(abs(step.reference_below * step.current_total - step.current_below * step.reference_total))
    INTO v_reference, v_current, v_lattice
    FROM (
        SELECT
            sum(level.in_reference) OVER (ORDER BY level.value) AS reference_below,
            sum(level.in_current) OVER (ORDER BY level.value) AS current_below,
            sum(level.in_reference) OVER () AS reference_total,
            sum(level.in_current) OVER () AS current_total
        FROM (
            SELECT
                both_samples.value,
                sum(both_samples.in_reference) AS in_reference,
                sum(both_samples.in_current) AS in_current
            FROM (
                SELECT value, 1::double precision AS in_reference, 0::double precision AS in_current
                FROM unnest(p_reference) AS value
                UNION ALL
                SELECT value, 0, 1 FROM unnest(p_current) AS value
            ) AS both_samples
            WHERE both_samples.value BETWEEN -1e100 AND 1e100
            GROUP BY both_samples.value
        ) AS level
    ) AS step;
    IF v_reference > 0 AND v_current > 0 THEN
        statistic := v_lattice::double precision / (v_reference::double precision * v_current);
        p_value := ml.smirnov_survival(v_reference, v_current, v_lattice);
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.kolmogorov_smirnov_test IS
    'Two-sample Kolmogorov-Smirnov test: the largest distance of the empirical distribution functions, and its p-value.';
REVOKE ALL ON FUNCTION ml.kolmogorov_smirnov_test FROM PUBLIC;
