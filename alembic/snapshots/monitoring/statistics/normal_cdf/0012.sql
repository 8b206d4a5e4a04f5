-- Distribution function of the standard normal distribution, P(Z <= z); the upper tail is normal_cdf(-z).
-- Called by: ml.normal_quantile, the tests of this folder. Calls: ml.regularized_gamma_upper.
-- Reads: nothing. Writes: nothing.

-- Core has erfc() from PostgreSQL 16 on only.
CREATE OR REPLACE FUNCTION ml.normal_cdf(p_z double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_tail double precision := CASE
        WHEN abs(p_z) < 1e-100 THEN 0.5
        WHEN abs(p_z) BETWEEN 40 AND 'infinity' THEN 0
        ELSE ml.regularized_gamma_upper(0.5, p_z * (p_z / 2)) / 2
    END;
BEGIN
    RETURN CASE WHEN p_z < 0 THEN v_tail ELSE 1 - v_tail END;
END
$function$;
COMMENT ON FUNCTION ml.normal_cdf IS
    'Distribution function of the standard normal distribution, P(Z <= z); the upper tail is normal_cdf(-z).';
REVOKE ALL ON FUNCTION ml.normal_cdf FROM PUBLIC;
