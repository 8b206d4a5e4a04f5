-- What Stirling's formula leaves out: ln gamma(a) - ((a - 1/2) ln(a) - a + ln(2 pi) / 2), for a above 1e-100.
-- Called by: ml.regularized_gamma_upper, ml.beta_kernel. Calls: ml.log1p. Reads: nothing. Writes: nothing.

-- DLMF 5.11.1 from 10 on, where seven terms are exact to the last bit; below, the recurrence of the gamma function.
CREATE OR REPLACE FUNCTION ml.stirling_correction(p_a double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_a double precision := p_a;
    v_below double precision := 0;
    v_square double precision;
BEGIN
    IF (p_a BETWEEN 1e-100 AND 1e100) IS NOT TRUE THEN
        RETURN CASE WHEN p_a > 1e100 AND p_a <= 'infinity' THEN 0 END;
    END IF;
    WHILE v_a < 10 LOOP
        v_below := v_below + ((v_a + 0.5) * ml.log1p(1 / v_a) - 1);
        v_a := v_a + 1;
    END LOOP;
    v_square := 1 / v_a / v_a;
    RETURN v_below + (
        1 / 12.0::double precision - v_square * (1 / 360.0::double precision - v_square * (1 / 1260.0::double precision - v_square * (
            1 / 1680.0::double precision - v_square * (1 / 1188.0::double precision - v_square * (
                691 / 360360.0::double precision - v_square / 156))))
    )) / v_a;
END
$function$;
COMMENT ON FUNCTION ml.stirling_correction IS
    'What Stirling''s formula leaves out: ln gamma(a) - ((a - 1/2) ln(a) - a + ln(2 pi) / 2), for a above 1e-100.';
REVOKE ALL ON FUNCTION ml.stirling_correction FROM PUBLIC;
