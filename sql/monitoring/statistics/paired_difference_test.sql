-- Mean difference (second - first) of paired values, such as two models' losses, with its t test; clustered if there are enough clusters.
-- Called by: ml.compare_versions, ml.compare_with_rules. Calls: ml.student_t_cdf, ml.student_t_quantile.
-- Reads: nothing. Writes: nothing.

-- Equals scipy 1.17 ttest_rel; with p_minimum_clusters or more different clusters the standard error of statsmodels 0.15
-- OLS(cov_type='cluster', use_t=True) with as many degrees of freedom as clusters less one: cases of one cluster may
-- depend on each other. A pair with a NULL, a NaN or a value beyond +-1e100 is left out; a NULL cluster is one cluster.
-- Differences that are all the same have standard_error 0 and no test.
CREATE OR REPLACE FUNCTION ml.paired_difference_test(
    p_first double precision[],
    p_second double precision[],
    p_clusters integer[] DEFAULT NULL,
    p_level double precision DEFAULT 0.95,
    p_minimum_clusters integer DEFAULT 12,
    OUT pairs bigint,
    OUT clusters bigint,
    OUT mean_first double precision,
    OUT mean_second double precision,
    OUT difference double precision,
    OUT standard_error double precision,
    OUT degrees_of_freedom bigint,
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
    v_resolution double precision;
    v_clustered_error double precision;
BEGIN
    SELECT
        count(*), avg(pair.first), avg(pair.second), avg(pair.second - pair.first),
        stddev_samp(pair.second - pair.first) / sqrt(count(*)), count(*) - 1,
        -- What rounding leaves of a difference that is always the same.
        greatest(max(abs(pair.first)), max(abs(pair.second)), 1e-85) * 1e-15
    INTO pairs, mean_first, mean_second, difference, standard_error, degrees_of_freedom, v_resolution
    FROM unnest(p_first, p_second) AS pair (first, second)
    WHERE pair.first BETWEEN -1e100 AND 1e100 AND pair.second BETWEEN -1e100 AND 1e100;

    IF p_clusters IS NOT NULL AND pairs > 0 THEN
        SELECT sqrt(count(*) * var_samp(total.residual)) / pairs, count(*) INTO v_clustered_error, clusters
        FROM (
            SELECT sum(pair.second - pair.first - difference) AS residual
            FROM unnest(p_first, p_second, p_clusters) AS pair (first, second, cluster)
            WHERE pair.first BETWEEN -1e100 AND 1e100 AND pair.second BETWEEN -1e100 AND 1e100
            GROUP BY pair.cluster
        ) AS total;
        IF clusters >= greatest(p_minimum_clusters, 2) THEN
            standard_error := v_clustered_error;
            degrees_of_freedom := clusters - 1;
        ELSE
            clusters := NULL;
        END IF;
    END IF;

    IF standard_error <= v_resolution THEN
        standard_error := 0;
        low := difference;
        high := difference;
    ELSIF standard_error IS NOT NULL THEN
        -- A quotient below the smallest number is an error in Postgres.
        statistic := CASE WHEN abs(difference) < 1e-200 THEN 0 ELSE difference / standard_error END;
        p_value := 2 * ml.student_t_cdf(-abs(statistic), degrees_of_freedom);
        low := difference - standard_error * ml.student_t_quantile((1 + p_level) / 2, degrees_of_freedom);
        high := difference + (difference - low);
    ELSE
        degrees_of_freedom := NULL;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.paired_difference_test IS
    'Mean difference (second - first) of paired values, such as two models'' losses, with its t test; clustered if there are enough clusters.';
REVOKE ALL ON FUNCTION ml.paired_difference_test FROM PUBLIC;
