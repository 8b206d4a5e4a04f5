-- DeLong's test of the areas under the ROC curves of two scores of the same cases; difference is second - first.
-- Called by: ml.compare_versions, ml.compare_with_rules. Calls: ml.normal_cdf, ml.normal_quantile.
-- Reads: nothing. Writes: nothing.

-- E. R. DeLong et al. (1988), from placements in O(n log n), which X. Sun and W. Xu (2014) have from mid-ranks. The
-- variance is that of the differences of placements, so that equal rankings give exactly 0 and then no test. A case with a
-- NULL, NaN or infinite score or a NULL class is left out. One class only: NULLs; one case of a class: no standard error.
CREATE OR REPLACE FUNCTION ml.delong_test(
    p_first double precision[],
    p_second double precision[],
    p_positive boolean[],
    p_level double precision DEFAULT 0.95,
    OUT positives bigint,
    OUT negatives bigint,
    OUT auc_first double precision,
    OUT auc_second double precision,
    OUT difference double precision,
    OUT standard_error double precision,
    OUT low double precision,
    OUT high double precision,
    OUT statistic double precision,
    OUT p_value double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_variance_positives double precision;
    v_variance_negatives double precision;
    v_half double precision;
BEGIN
    SELECT
        count(*) FILTER (WHERE placed.positive), count(*) FILTER (WHERE NOT placed.positive),
        avg(placed.below_first) FILTER (WHERE placed.positive),
        avg(placed.below_second) FILTER (WHERE placed.positive),
        avg(placed.below_second - placed.below_first) FILTER (WHERE placed.positive),
        var_samp(placed.below_second - placed.below_first) FILTER (WHERE placed.positive),
        var_samp(placed.below_second - placed.below_first) FILTER (WHERE NOT placed.positive)
    INTO positives, negatives, auc_first, auc_second, difference, v_variance_positives, v_variance_negatives
    FROM (
        -- How many of the other class lie below, ties as half. The two windows of a score share one sort.
        SELECT
            pair.positive,
            CASE
                WHEN pair.positive
                    THEN count(*) FILTER (WHERE NOT pair.positive) OVER up_to_first
                        - count(*) FILTER (WHERE NOT pair.positive) OVER tied_first / 2.0::double precision
                ELSE count(*) FILTER (WHERE pair.positive) OVER up_to_first
                    - count(*) FILTER (WHERE pair.positive) OVER tied_first / 2.0::double precision
            END AS below_first,
            CASE
                WHEN pair.positive
                    THEN count(*) FILTER (WHERE NOT pair.positive) OVER up_to_second
                        - count(*) FILTER (WHERE NOT pair.positive) OVER tied_second / 2.0::double precision
                ELSE count(*) FILTER (WHERE pair.positive) OVER up_to_second
                    - count(*) FILTER (WHERE pair.positive) OVER tied_second / 2.0::double precision
            END AS below_second
        FROM unnest(p_first, p_second, p_positive) AS pair (first, second, positive)
        WHERE pair.first > '-infinity' AND pair.first < 'infinity'
            AND pair.second > '-infinity' AND pair.second < 'infinity' AND pair.positive IS NOT NULL
        WINDOW
            up_to_first AS (ORDER BY pair.first),
            tied_first AS (PARTITION BY pair.first),
            up_to_second AS (ORDER BY pair.second),
            tied_second AS (PARTITION BY pair.second)
    ) AS placed;
    auc_first := auc_first / nullif(negatives, 0);
    auc_second := auc_second / nullif(negatives, 0);
    difference := difference / nullif(negatives, 0);
    standard_error := sqrt(
        v_variance_positives / positives / nullif(negatives, 0)::double precision ^ 2
        + v_variance_negatives / negatives / nullif(positives, 0)::double precision ^ 2);
    v_half := standard_error * ml.normal_quantile((1 + p_level) / 2);
    low := difference - v_half;
    high := difference + v_half;
    IF standard_error > 0 THEN
        statistic := difference / standard_error;
        p_value := 2 * ml.normal_cdf(-abs(statistic));
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.delong_test IS
    'DeLong''s test of the areas under the ROC curves of two scores of the same cases; difference is second - first.';
REVOKE ALL ON FUNCTION ml.delong_test FROM PUBLIC;
