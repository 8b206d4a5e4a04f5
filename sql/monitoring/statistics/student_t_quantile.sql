-- Quantile of Student's t distribution for a probability; infinite at 0 and 1, NULL outside them.
-- Called by: ml.paired_difference_test. Calls: ml.normal_quantile, ml.student_t_cdf, ml.beta_kernel.
-- Reads: nothing. Writes: nothing.

-- Newton's method on the upper tail, which is convex: from the normal quantile, which is nearer to 0 than the solution,
-- it cannot overshoot.
CREATE OR REPLACE FUNCTION ml.student_t_quantile(p_probability double precision, p_degrees_of_freedom double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_tail double precision := least(p_probability, 1 - p_probability);
    v_t double precision := abs(ml.normal_quantile(p_probability));
    v_sum double precision;
    v_step double precision;
BEGIN
    IF v_t IS NULL OR (p_degrees_of_freedom BETWEEN 0.5 AND 'infinity') IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    FOR v_iteration IN 1 .. 2000 LOOP
        EXIT WHEN v_t = 0 OR v_t > 1e70 OR p_degrees_of_freedom > 1e10;
        v_sum := p_degrees_of_freedom + v_t * v_t;
        -- The density at t is beta_kernel / t.
        v_step := (ml.student_t_cdf(-v_t, p_degrees_of_freedom) - v_tail) * v_t / ml.beta_kernel(
            p_degrees_of_freedom / v_sum, v_t * v_t / v_sum, p_degrees_of_freedom / 2, 0.5);
        v_t := v_t + v_step;
        EXIT WHEN v_step <= 1e-15 * v_t;
    END LOOP;
    RETURN CASE WHEN p_probability < 0.5 THEN -v_t ELSE v_t END;
END
$function$;
COMMENT ON FUNCTION ml.student_t_quantile IS
    'Quantile of Student''s t distribution for a probability; infinite at 0 and 1, NULL outside them.';
REVOKE ALL ON FUNCTION ml.student_t_quantile FROM PUBLIC;
