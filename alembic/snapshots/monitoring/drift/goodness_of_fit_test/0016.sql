-- Pearson's chi-square test of counts against the shares of a reference that is taken as exact.
-- Called by: people. Calls: ml.chi_square_survival. Reads: nothing. Writes: nothing.

-- Equals scipy 1.17 chisquare(current, reference * n_current / n_reference), and so Evidently 0.7 (chisquare). The reference
-- is itself a sample: when it is not many times the larger one, ml.homogeneity_test is the test that holds its level.
-- A category that the reference does not have: infinite statistic, p-value 0. Categories empty on both sides are left out.
-- An empty side, or a negative count: NULLs.
CREATE OR REPLACE FUNCTION ml.goodness_of_fit_test(
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
    v_ratio double precision;
    v_is_unseen boolean;
    v_is_valid boolean;
BEGIN
    SELECT
        sum(category.current) / nullif(sum(category.reference), 0)::double precision,
        coalesce(bool_or(category.current > 0 AND coalesce(category.reference, 0) = 0), false),
        coalesce(min(category.reference) >= 0 AND min(category.current) >= 0 AND sum(category.current) > 0, false)
    INTO v_ratio, v_is_unseen, v_is_valid
    FROM unnest(p_reference, p_current) AS category (reference, current);
    IF NOT v_is_valid OR v_ratio IS NULL THEN
        RETURN;
    END IF;
    SELECT
        count(*) - 1,
        CASE WHEN v_is_unseen THEN 'infinity'::double precision
            ELSE sum((coalesce(category.current, 0) - category.reference * v_ratio) ^ 2 / nullif(category.reference * v_ratio, 0))
        END
    INTO degrees_of_freedom, statistic
    FROM unnest(p_reference, p_current) AS category (reference, current)
    WHERE category.reference > 0 OR category.current > 0;
    p_value := CASE
        WHEN v_is_unseen THEN 0
        WHEN degrees_of_freedom = 0 THEN 1
        ELSE ml.chi_square_survival(statistic, degrees_of_freedom)
    END;
END
$function$;
COMMENT ON FUNCTION ml.goodness_of_fit_test IS
    'Pearson''s chi-square test of counts against the shares of a reference that is taken as exact.';
REVOKE ALL ON FUNCTION ml.goodness_of_fit_test FROM PUBLIC;
