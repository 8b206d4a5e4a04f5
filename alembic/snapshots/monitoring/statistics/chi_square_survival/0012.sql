-- Upper tail of the chi-square distribution, P(X > x); NULL for NULL, NaN or no positive degrees of freedom.
-- Called by: ml.mcnemar_test, ml.sample_ratio_test. Calls: ml.regularized_gamma_upper. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.chi_square_survival(p_x double precision, p_degrees_of_freedom double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
BEGIN
    RETURN CASE
        WHEN (p_degrees_of_freedom BETWEEN 1e-9 AND 1e10 AND p_x BETWEEN '-infinity' AND 'infinity') IS NOT TRUE THEN NULL
        WHEN p_x < 1e-300 THEN 1
        ELSE ml.regularized_gamma_upper(p_degrees_of_freedom / 2, p_x / 2)
    END;
END
$function$;
COMMENT ON FUNCTION ml.chi_square_survival IS
    'Upper tail of the chi-square distribution, P(X > x); NULL for NULL, NaN or no positive degrees of freedom.';
REVOKE ALL ON FUNCTION ml.chi_square_survival FROM PUBLIC;
