-- x^a (1 - x)^b / B(a, b) for a, b > 0 and 0 < x < 1, with 1 - x as an argument; 0 below 1e-300.
-- Called by: ml.regularized_beta, ml.student_t_quantile. Calls: ml.poisson_deviance, ml.stirling_correction.
-- Reads: nothing. Writes: nothing.

-- Saddle-point form (C. Loader 2000): exact for counts in the millions, where differences of ln gamma are not.
CREATE OR REPLACE FUNCTION ml.beta_kernel(
    p_x double precision,
    p_complement double precision,
    p_a double precision,
    p_b double precision
)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_difference double precision := p_a * p_complement - p_b * p_x;
    v_log_kernel double precision;
BEGIN
    v_log_kernel := -ml.poisson_deviance(p_a, (p_a + p_b) * p_x, v_difference)
        - ml.poisson_deviance(p_b, (p_a + p_b) * p_complement, -v_difference)
        + ml.stirling_correction(p_a + p_b) - ml.stirling_correction(p_a) - ml.stirling_correction(p_b)
        + pg_catalog.ln(p_a / (2 * pg_catalog.pi()) * (p_b / (p_a + p_b))) / 2;
    RETURN CASE WHEN v_log_kernel < -700 THEN 0 ELSE pg_catalog.exp(v_log_kernel) END;
END
$function$;
COMMENT ON FUNCTION ml.beta_kernel IS
    'x^a (1 - x)^b / B(a, b) for a, b > 0 and 0 < x < 1, with 1 - x as an argument; 0 below 1e-300.';
REVOKE ALL ON FUNCTION ml.beta_kernel FROM PUBLIC;
