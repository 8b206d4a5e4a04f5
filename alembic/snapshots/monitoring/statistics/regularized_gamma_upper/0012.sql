-- Upper regularized incomplete gamma function Q(a, x), a from 1e-10 to 1e10; relative error below 1e-12, 0 below 1e-300.
-- Called by: ml.chi_square_survival, ml.normal_cdf. Calls: ml.poisson_deviance, ml.stirling_correction.
-- Reads: nothing. Writes: nothing.

-- DLMF 8.7.1 (series of P) below a + 1, DLMF 8.9.2 (continued fraction of Q, by Lentz's method) above.
CREATE OR REPLACE FUNCTION ml.regularized_gamma_upper(p_a double precision, p_x double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_log_kernel double precision;
    v_kernel double precision;
    v_step double precision := 0;
    v_term double precision;
    v_sum double precision;
    v_numerator double precision;
    v_denominator double precision;
    v_c double precision;
    v_d double precision;
    v_factor double precision;
BEGIN
    IF (p_a BETWEEN 1e-10 AND 1e10 AND p_x BETWEEN 0 AND 'infinity') IS NOT TRUE THEN
        RETURN NULL;
    ELSIF p_x = 0 THEN
        RETURN 1;
    ELSIF p_x > 1e100 THEN
        RETURN 0;
    END IF;

    -- x^a exp(-x) / gamma(a)
    v_log_kernel := -ml.poisson_deviance(p_a, p_x, p_a - p_x) - ml.stirling_correction(p_a)
        + pg_catalog.ln(p_a / (2 * pg_catalog.pi())) / 2;
    -- exp() raises an error where the result is below the smallest number.
    v_kernel := CASE WHEN v_log_kernel < -700 THEN 0 ELSE pg_catalog.exp(v_log_kernel) END;

    IF p_x < p_a + 1 THEN
        v_term := 1 / p_a;
        v_sum := v_term;
        WHILE p_x > 1e-200 AND v_term > v_sum * 1e-17 LOOP
            v_step := v_step + 1;
            v_term := v_term * (p_x / (p_a + v_step));
            v_sum := v_sum + v_term;
        END LOOP;
        RETURN greatest(1 - v_kernel * v_sum, 0);
    END IF;

    IF v_kernel = 0 THEN
        RETURN 0;
    END IF;
    v_denominator := p_x + 1 - p_a;
    v_c := 1e100;
    v_d := 1 / v_denominator;
    v_sum := v_d;
    LOOP
        v_step := v_step + 1;
        v_numerator := v_step * (p_a - v_step);
        v_denominator := v_denominator + 2;
        v_d := v_numerator * v_d + v_denominator;
        v_d := 1 / CASE WHEN abs(v_d) < 1e-100 THEN 1e-100 ELSE v_d END;
        v_c := v_denominator + v_numerator / v_c;
        v_c := CASE WHEN abs(v_c) < 1e-100 THEN 1e-100 ELSE v_c END;
        v_factor := v_c * v_d;
        v_sum := v_sum * v_factor;
        EXIT WHEN abs(v_factor - 1) < 5e-16 OR v_step > 1e6;
    END LOOP;
    RETURN v_kernel * v_sum;
END
$function$;
COMMENT ON FUNCTION ml.regularized_gamma_upper IS
    'Upper regularized incomplete gamma function Q(a, x), a from 1e-10 to 1e10; relative error below 1e-12, 0 below 1e-300.';
REVOKE ALL ON FUNCTION ml.regularized_gamma_upper FROM PUBLIC;
