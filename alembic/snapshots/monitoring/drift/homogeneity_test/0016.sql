-- Pearson's chi-square test that two samples have the same shares of categories, both taken as samples.
-- Called by: ml.measure_drift. Calls: ml.chi_square_survival. Reads: nothing. Writes: nothing.

-- Equals scipy 1.17 stats.chi2_contingency, and so NannyML 0.13 (chi2): Yates's correction when there are two categories.
-- Categories empty on both sides are left out; a single category is no evidence: p-value 1. An empty side, or a negative
-- count: NULLs.
CREATE OR REPLACE FUNCTION ml.homogeneity_test(
    p_reference bigint[],
    p_current bigint[],
    OUT statistic double precision,
    OUT degrees_of_freedom bigint,
    OUT p_value double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_share double precision;
    v_categories bigint;
    v_is_valid boolean;
BEGIN
    SELECT
        sum(category.current) / nullif(sum(category.current) + sum(category.reference), 0)::double precision,
        count(*) FILTER (WHERE category.reference > 0 OR category.current > 0),
        min(category.reference) >= 0 AND min(category.current) >= 0
        AND sum(category.current) > 0 AND sum(category.reference) > 0
    INTO v_share, v_categories, v_is_valid
    FROM unnest(p_reference, p_current) AS category (reference, current);
    IF v_is_valid IS NOT TRUE THEN
        RETURN;
    END IF;
    degrees_of_freedom := v_categories - 1;
    IF v_categories = 1 THEN
        statistic := 0;
        p_value := 1;
        RETURN;
    END IF;
    -- In both rows of the table the difference from what is expected is the same, with opposite signs.
    SELECT sum(
        CASE
            WHEN v_categories > 2 THEN cell.difference
            ELSE greatest(abs(cell.difference) - 0.5, 0)
        END ^ 2 * (1 / (cell.total * v_share) + 1 / (cell.total * (1 - v_share))))
    INTO statistic
    FROM (
        SELECT
            both_sides.total,
            both_sides.current - both_sides.total * v_share AS difference
        FROM (
            SELECT
                coalesce(category.current, 0)::double precision AS current,
                (coalesce(category.current, 0) + coalesce(category.reference, 0))::double precision AS total
            FROM unnest(p_reference, p_current) AS category (reference, current)
        ) AS both_sides
        WHERE both_sides.total > 0
    ) AS cell;
    p_value := ml.chi_square_survival(statistic, degrees_of_freedom);
END
$function$;
COMMENT ON FUNCTION ml.homogeneity_test IS
    'Pearson''s chi-square test that two samples have the same shares of categories, both taken as samples.';
REVOKE ALL ON FUNCTION ml.homogeneity_test FROM PUBLIC;
