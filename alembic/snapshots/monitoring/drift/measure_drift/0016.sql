-- One method applied to one feature: distance or statistic, and the p-value of methods that test.
-- Called by: ml.feature_drift. Calls: ml.jensen_shannon_distance, ml.hellinger_distance, ml.homogeneity_test,
--        ml.population_stability_index, ml.wasserstein_distance, ml.kolmogorov_smirnov_test, ml.bin_together.
-- Reads: nothing. Writes: nothing.

-- jensen_shannon, hellinger and chi_square take the frozen bins or categories, the others the values.
CREATE OR REPLACE FUNCTION ml.measure_drift(
    p_method text,
    p_kind text,
    p_reference_counts bigint[],
    p_current_counts bigint[],
    p_reference double precision[],
    p_current double precision[],
    OUT value double precision,
    OUT p_value double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_reference_counts bigint[];
    v_current_counts bigint[];
BEGIN
    IF p_method IN ('psi', 'jensen_shannon_natural') THEN
        SELECT binned.reference_counts, binned.current_counts INTO v_reference_counts, v_current_counts
        FROM ml.bin_together(p_reference, p_current, p_kind = 'categorical') AS binned;
    END IF;
    CASE p_method
        WHEN 'jensen_shannon' THEN
            value := ml.jensen_shannon_distance(p_reference_counts, p_current_counts, 2);
        WHEN 'hellinger' THEN
            value := ml.hellinger_distance(p_reference_counts, p_current_counts);
        WHEN 'chi_square' THEN
            SELECT test.statistic, test.p_value INTO value, p_value
            FROM ml.homogeneity_test(p_reference_counts, p_current_counts) AS test;
        WHEN 'jensen_shannon_natural' THEN
            value := ml.jensen_shannon_distance(v_reference_counts, v_current_counts, exp(1::double precision));
        WHEN 'psi' THEN
            value := ml.population_stability_index(v_reference_counts, v_current_counts);
        WHEN 'wasserstein' THEN
            value := ml.wasserstein_distance(p_reference, p_current);
        WHEN 'kolmogorov_smirnov' THEN
            SELECT test.statistic, test.p_value INTO value, p_value
            FROM ml.kolmogorov_smirnov_test(p_reference, p_current) AS test;
    END CASE;
END
$function$;
COMMENT ON FUNCTION ml.measure_drift IS
    'One method applied to one feature: distance or statistic, and the p-value of methods that test.';
REVOKE ALL ON FUNCTION ml.measure_drift FROM PUBLIC;
