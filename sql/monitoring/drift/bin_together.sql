-- Counts of two samples in common bins, or by value where the reference has 20 or fewer distinct ones.
-- Called by: ml.measure_drift. Calls: ml.equal_width_edges. Reads: nothing. Writes: nothing.

-- The binning of Evidently 0.7: bins of equal width over both samples, as many as Sturges's rule gives for their joint size
-- (numpy histogram_bin_edges(bins='sturges') of floats). p_by_value: categories, whatever their number. NULL, NaN, infinite
-- values and those beyond 1e100 are left out. An empty sample: NULLs.
CREATE OR REPLACE FUNCTION ml.bin_together(
    p_reference double precision[],
    p_current double precision[],
    p_by_value boolean DEFAULT false,
    OUT reference_counts bigint[],
    OUT current_counts bigint[]
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_reference bigint;
    v_current bigint;
    v_distinct bigint;
    v_low double precision;
    v_high double precision;
    v_sturges double precision;
    v_bins integer := 1;
    v_edges double precision[];
BEGIN
    SELECT
        count(*) FILTER (WHERE both_samples.is_reference), count(*) FILTER (WHERE NOT both_samples.is_reference),
        count(DISTINCT both_samples.value) FILTER (WHERE both_samples.is_reference),
        min(both_samples.value), max(both_samples.value)
    INTO v_reference, v_current, v_distinct, v_low, v_high
    FROM (
        SELECT value, true AS is_reference FROM unnest(p_reference) AS value
        UNION ALL
        SELECT value, false FROM unnest(p_current) AS value
    ) AS both_samples
    WHERE both_samples.value BETWEEN -1e100 AND 1e100;
    IF v_reference = 0 OR v_current = 0 THEN
        RETURN;
    END IF;

    IF p_by_value OR v_distinct <= 20 THEN
        SELECT array_agg(level.in_reference ORDER BY level.value), array_agg(level.in_current ORDER BY level.value)
        INTO reference_counts, current_counts
        FROM (
            SELECT
                both_samples.value,
                count(*) FILTER (WHERE both_samples.is_reference) AS in_reference,
                count(*) FILTER (WHERE NOT both_samples.is_reference) AS in_current
            FROM (
                SELECT value, true AS is_reference FROM unnest(p_reference) AS value
                UNION ALL
                SELECT value, false FROM unnest(p_current) AS value
            ) AS both_samples
            WHERE both_samples.value BETWEEN -1e100 AND 1e100
            GROUP BY both_samples.value
        ) AS level;
        RETURN;
    END IF;

    -- Below that, widths of bins are no longer numbers.
    IF v_high - v_low > 1e-280 THEN
        -- Not ceil(log2(n) + 1): numpy divides twice, and the rounding decides at powers of two.
        v_sturges := (v_high - v_low) / (log(2.0, (v_reference + v_current)::numeric)::double precision + 1);
        v_bins := ceil((v_high - v_low) / v_sturges);
    END IF;
    v_edges := ml.equal_width_edges(v_low, v_high, v_bins);
    SELECT
        array_agg(coalesce(counted.in_reference, 0) ORDER BY bin.i), array_agg(coalesce(counted.in_current, 0) ORDER BY bin.i)
    INTO reference_counts, current_counts
    FROM generate_series(1, v_bins) AS bin (i)
    LEFT JOIN (
        SELECT
            CASE WHEN both_samples.value = v_high THEN v_bins ELSE width_bucket(both_samples.value, v_edges) END AS i,
            count(*) FILTER (WHERE both_samples.is_reference) AS in_reference,
            count(*) FILTER (WHERE NOT both_samples.is_reference) AS in_current
        FROM (
            SELECT value, true AS is_reference FROM unnest(p_reference) AS value
            UNION ALL
            SELECT value, false FROM unnest(p_current) AS value
        ) AS both_samples
        WHERE both_samples.value BETWEEN -1e100 AND 1e100
        GROUP BY 1
    ) AS counted ON counted.i = bin.i;
END
$function$;
COMMENT ON FUNCTION ml.bin_together IS
    'Counts of two samples in common bins, or by value where the reference has 20 or fewer distinct ones.';
REVOKE ALL ON FUNCTION ml.bin_together FROM PUBLIC;
