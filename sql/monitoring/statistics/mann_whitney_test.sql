-- Mann-Whitney U test of two independent samples, such as latencies: normal approximation with ties and continuity correction.
-- Called by: ml.compare_versions. Calls: ml.normal_cdf. Reads: nothing. Writes: nothing.

-- Equals scipy 1.17 mannwhitneyu(method='asymptotic'); good from some eight values per sample on. statistic is U of the
-- first sample; second_larger is the probability that a value of the second sample exceeds one of the first, ties as
-- half. NULL, NaN and infinite values are left out. An empty sample or values that are all the same: no test.
CREATE OR REPLACE FUNCTION ml.mann_whitney_test(
    p_first double precision[],
    p_second double precision[],
    OUT values_first bigint,
    OUT values_second bigint,
    OUT statistic double precision,
    OUT second_larger double precision,
    OUT z double precision,
    OUT p_value double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_ties double precision;
    v_values double precision;
    v_pairs double precision;
    v_deviation double precision;
BEGIN
    SELECT
        count(*) FILTER (WHERE ranked.is_first), count(*) FILTER (WHERE NOT ranked.is_first),
        sum((ranked.lowest + ranked.highest) / 2.0::double precision) FILTER (WHERE ranked.is_first),
        -- Summed over values: t^3 - t over groups of t equal ones.
        sum((ranked.highest - ranked.lowest + 1)::double precision ^ 2 - 1)
    INTO values_first, values_second, statistic, v_ties
    FROM (
        SELECT sample.is_first, rank() OVER ordered AS lowest, count(*) OVER ordered AS highest
        FROM (
            SELECT value, true AS is_first FROM unnest(p_first) AS value
            UNION ALL
            SELECT value, false FROM unnest(p_second) AS value
        ) AS sample
        WHERE sample.value > '-infinity' AND sample.value < 'infinity'
        WINDOW ordered AS (ORDER BY sample.value)
    ) AS ranked;
    IF values_first = 0 OR values_second = 0 THEN
        statistic := NULL;
        RETURN;
    END IF;
    v_pairs := values_first::double precision * values_second;
    v_values := values_first + values_second;
    statistic := statistic - values_first::double precision * (values_first + 1) / 2;
    second_larger := 1 - statistic / v_pairs;
    v_deviation := sqrt(greatest(v_pairs / 12 * (v_values + 1 - v_ties / (v_values * (v_values - 1))), 0));
    IF v_deviation > 1e-6 THEN
        z := (abs(statistic - v_pairs / 2) - 0.5) / v_deviation;
        p_value := least(1, 2 * ml.normal_cdf(-z));
        -- Above 0 when the second sample is the larger one, whatever the correction leaves.
        z := CASE WHEN statistic <= v_pairs / 2 THEN z ELSE -z END;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.mann_whitney_test IS
    'Mann-Whitney U test of two independent samples, such as latencies: normal approximation with ties and continuity correction.';
REVOKE ALL ON FUNCTION ml.mann_whitney_test FROM PUBLIC;
