-- Regularized incomplete beta function I_x(a, b), a and b from 0.1 to 1e10, with 1 - x as an argument; 0 below 1e-300.
-- Called by: ml.binomial_cdf, ml.student_t_cdf. Calls: ml.beta_kernel. Reads: nothing. Writes: nothing.

-- DLMF 8.17.22 (continued fraction, by Lentz's method) on the side where it converges fast, 1 - I on the other.
CREATE OR REPLACE FUNCTION ml.regularized_beta(
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
    v_swapped boolean;
    v_x double precision := p_x;
    v_a double precision := p_a;
    v_b double precision := p_b;
    v_kernel double precision;
    v_step double precision := 0;
    v_numerator double precision;
    v_c double precision := 1;
    v_d double precision;
    v_fraction double precision;
    v_factor double precision;
BEGIN
    IF (p_x BETWEEN 0 AND 1 AND p_complement BETWEEN 0 AND 1
        AND p_a BETWEEN 0.1 AND 1e10 AND p_b BETWEEN 0.1 AND 1e10) IS NOT TRUE
    THEN
        RETURN NULL;
    ELSIF least(p_x, p_complement) < 1e-200 THEN
        RETURN CASE WHEN p_x < p_complement THEN 0 ELSE 1 END;
    END IF;
    v_kernel := ml.beta_kernel(p_x, p_complement, p_a, p_b);
    v_swapped := p_x > (p_a + 1) / (p_a + p_b + 2);
    IF v_swapped THEN
        v_x := p_complement;
        v_a := p_b;
        v_b := p_a;
    END IF;

    v_fraction := 1;
    IF v_kernel > 0 AND v_x > 1e-100 THEN
        v_d := 1 - (v_a + v_b) * v_x / (v_a + 1);
        v_d := 1 / CASE WHEN abs(v_d) < 1e-100 THEN 1e-100 ELSE v_d END;
        v_fraction := v_d;
        LOOP
            v_step := v_step + 1;
            v_numerator := v_step * (v_b - v_step) * v_x / ((v_a + 2 * v_step - 1) * (v_a + 2 * v_step));
            v_d := 1 + v_numerator * v_d;
            v_d := 1 / CASE WHEN abs(v_d) < 1e-100 THEN 1e-100 ELSE v_d END;
            v_c := 1 + v_numerator / v_c;
            v_c := CASE WHEN abs(v_c) < 1e-100 THEN 1e-100 ELSE v_c END;
            v_fraction := v_fraction * (v_c * v_d);
            v_numerator := -(v_a + v_step) * (v_a + v_b + v_step) * v_x / ((v_a + 2 * v_step) * (v_a + 2 * v_step + 1));
            v_d := 1 + v_numerator * v_d;
            v_d := 1 / CASE WHEN abs(v_d) < 1e-100 THEN 1e-100 ELSE v_d END;
            v_c := 1 + v_numerator / v_c;
            v_c := CASE WHEN abs(v_c) < 1e-100 THEN 1e-100 ELSE v_c END;
            v_factor := v_c * v_d;
            v_fraction := v_fraction * v_factor;
            EXIT WHEN abs(v_factor - 1) < 5e-16 OR v_step > 1e6;
        END LOOP;
    END IF;
    v_fraction := v_kernel * v_fraction / v_a;
    RETURN CASE WHEN v_swapped THEN greatest(1 - v_fraction, 0) ELSE least(v_fraction, 1) END;
END
$function$;
COMMENT ON FUNCTION ml.regularized_beta IS
    'Regularized incomplete beta function I_x(a, b), a and b from 0.1 to 1e10, with 1 - x as an argument; 0 below 1e-300.';
REVOKE ALL ON FUNCTION ml.regularized_beta FROM PUBLIC;
