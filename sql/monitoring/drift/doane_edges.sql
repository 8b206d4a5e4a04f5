-- Edges of bins of equal width for one sample, as many as Doane's rule gives; NULL for an empty sample.
-- Called by: ml.describe_values. Calls: nothing. Reads: nothing. Writes: nothing.

-- D. P. Doane (1976); equals numpy 2.4 histogram_bin_edges(bins='doane'), and so the bins of NannyML 0.13, except that a
-- sample of one value gets the one bin [value, value]. NULL, NaN, infinite values and those beyond 1e100 are left out.
CREATE OR REPLACE FUNCTION ml.doane_edges(p_values double precision[])
RETURNS double precision[]
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_n double precision;
    v_mean double precision;
    v_deviation double precision;
    v_low double precision;
    v_high double precision;
    v_skewness double precision;
    v_bins double precision := 1;
BEGIN
    SELECT count(*), avg(value), stddev_pop(value), min(value), max(value)
    INTO v_n, v_mean, v_deviation, v_low, v_high
    FROM unnest(p_values) AS value
    WHERE value BETWEEN -1e100 AND 1e100;
    IF v_n = 0 THEN
        RETURN NULL;
    END IF;
    -- Below that, widths of bins are no longer numbers.
    IF v_n > 2 AND v_deviation > 0 AND v_high - v_low > 1e-280 THEN
        SELECT avg(CASE WHEN abs(scaled.deviation) < 1e-90 THEN 0 ELSE scaled.deviation ^ 3 END)
        INTO v_skewness
        FROM (
            SELECT CASE WHEN abs(value - v_mean) < 1e-290 THEN 0 ELSE (value - v_mean) / v_deviation END AS deviation
            FROM unnest(p_values) AS value
            WHERE value BETWEEN -1e100 AND 1e100
        ) AS scaled;
        v_bins := (v_high - v_low) / (
            1 + log(2.0, v_n::numeric)::double precision
            + ln(1 + abs(v_skewness) / sqrt(6 * (v_n - 2) / ((v_n + 1) * (v_n + 3)))) / ln(2::double precision));
        v_bins := greatest(ceil((v_high - v_low) / v_bins), 1);
    END IF;
    RETURN ml.equal_width_edges(v_low, v_high, v_bins::integer);
END
$function$;
COMMENT ON FUNCTION ml.doane_edges IS
    'Edges of bins of equal width for one sample, as many as Doane''s rule gives; NULL for an empty sample.';
REVOKE ALL ON FUNCTION ml.doane_edges FROM PUBLIC;
