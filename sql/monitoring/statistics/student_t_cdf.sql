-- Distribution function of Student's t distribution, P(T <= t); the upper tail is student_t_cdf(-t, ...).
-- Called by: ml.student_t_quantile, ml.paired_difference_test. Calls: ml.regularized_beta, ml.normal_cdf. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.student_t_cdf(p_t double precision, p_degrees_of_freedom double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_sum double precision;
    v_tail double precision;
BEGIN
    IF (p_degrees_of_freedom BETWEEN 0.5 AND 'infinity' AND p_t BETWEEN '-infinity' AND 'infinity') IS NOT TRUE THEN
        RETURN NULL;
    ELSIF p_degrees_of_freedom > 1e10 THEN
        RETURN ml.normal_cdf(p_t);
    ELSIF abs(p_t) > 1e70 OR abs(p_t) < 1e-70 THEN
        v_tail := CASE WHEN abs(p_t) > 1 THEN 0 ELSE 0.5 END;
    ELSE
        v_sum := p_degrees_of_freedom + p_t * p_t;
        v_tail := ml.regularized_beta(
            p_degrees_of_freedom / v_sum, p_t * p_t / v_sum, p_degrees_of_freedom / 2, 0.5) / 2;
    END IF;
    RETURN CASE WHEN p_t < 0 THEN v_tail ELSE 1 - v_tail END;
END
$function$;
COMMENT ON FUNCTION ml.student_t_cdf IS
    'Distribution function of Student''s t distribution, P(T <= t); the upper tail is student_t_cdf(-t, ...).';
REVOKE ALL ON FUNCTION ml.student_t_cdf FROM PUBLIC;
