-- ln(1 + x) without losing the digits of a small x; -infinity at -1, NULL below it and for NaN.
-- Called by: ml.stirling_correction, ml.poisson_deviance. Calls: nothing. Reads: nothing. Writes: nothing.

-- Kahan's form: the rounding of 1 + x cancels in the quotient (Goldberg 1991, theorem 4).
CREATE OR REPLACE FUNCTION ml.log1p(p_x double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_sum double precision := 1 + p_x;
BEGIN
    RETURN CASE
        WHEN (p_x BETWEEN -1 AND 'infinity') IS NOT TRUE THEN NULL
        WHEN v_sum = 1 THEN p_x
        WHEN v_sum = 0 THEN '-infinity'
        WHEN p_x > 1e300 THEN pg_catalog.ln(p_x)
        ELSE pg_catalog.ln(v_sum) * (p_x / (v_sum - 1))
    END;
END
$function$;
COMMENT ON FUNCTION ml.log1p IS
    'ln(1 + x) without losing the digits of a small x; -infinity at -1, NULL below it and for NaN.';
REVOKE ALL ON FUNCTION ml.log1p FROM PUBLIC;
