-- Quantile of the standard normal distribution for a probability; infinite at 0 and 1, NULL outside them.
-- Called by: ml.student_t_quantile, the tests of this folder. Calls: ml.normal_cdf. Reads: nothing. Writes: nothing.

-- Newton's method on the logarithm of the tail, which is concave: from beyond the solution it cannot overshoot.
CREATE OR REPLACE FUNCTION ml.normal_quantile(p_probability double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_tail double precision := least(p_probability, 1 - p_probability);
    v_z double precision;
    v_found double precision;
    v_step double precision;
BEGIN
    IF (p_probability BETWEEN 0 AND 1) IS NOT TRUE THEN
        RETURN NULL;
    ELSIF v_tail < 1e-290 THEN
        RETURN CASE WHEN p_probability < 0.5 THEN '-infinity'::double precision ELSE 'infinity'::double precision END;
    ELSIF v_tail = 0.5 THEN
        RETURN 0;
    END IF;
    v_z := pg_catalog.sqrt(-2 * pg_catalog.ln(v_tail));
    FOR v_iteration IN 1 .. 50 LOOP
        v_found := ml.normal_cdf(-v_z);
        v_step := pg_catalog.ln(v_found / v_tail) * v_found
            * pg_catalog.sqrt(2 * pg_catalog.pi()) * pg_catalog.exp(v_z * v_z / 2);
        v_z := v_z + v_step;
        EXIT WHEN abs(v_step) <= 1e-15 * v_z;
    END LOOP;
    RETURN CASE WHEN p_probability < 0.5 THEN -v_z ELSE v_z END;
END
$function$;
COMMENT ON FUNCTION ml.normal_quantile IS
    'Quantile of the standard normal distribution for a probability; infinite at 0 and 1, NULL outside them.';
REVOKE ALL ON FUNCTION ml.normal_quantile FROM PUBLIC;
