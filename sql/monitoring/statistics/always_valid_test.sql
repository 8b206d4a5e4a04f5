-- p-value and interval of an estimate that stay valid however often one looks: mixture sequential probability ratio test.
-- Called by: ml.compare_versions, ml.compare_with_rules. Calls: ml.log1p. Reads: nothing. Writes: nothing.

-- R. Johari, P. Koomen, L. Pekelis, D. Walsh, Always valid inference (Operations Research, 2022): with V the variance of
-- the estimate and a normal mixture N(0, tau^2) over the effect,
--   p = min(1, 1 / Lambda), Lambda = sqrt(V / (V + tau^2)) * exp(tau^2 estimate^2 / (2 V (V + tau^2))).
-- The smallest p of a row of looks at growing data is valid as well. p_tau is the size of an effect that would matter:
-- three times too large costs some 10 % more data, three times too small some 40 %, so err to the large side.
-- V is estimated: what is said holds for some hundred observations or more.
CREATE OR REPLACE FUNCTION ml.always_valid_test(
    p_estimate double precision,
    p_standard_error double precision,
    p_tau double precision,
    p_level double precision DEFAULT 0.95,
    OUT p_value double precision,
    OUT low double precision,
    OUT high double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_ratio double precision;
    v_z double precision;
    v_log_lambda double precision;
    v_half double precision;
BEGIN
    IF (p_estimate BETWEEN -1e100 AND 1e100 AND p_standard_error BETWEEN 1e-30 AND 1e30
        AND p_tau BETWEEN 1e-30 AND 1e30 AND p_level > 0 AND p_level < 1) IS NOT TRUE
    THEN
        RETURN;
    END IF;
    v_ratio := (p_tau / p_standard_error) ^ 2;
    -- Products below the smallest number are errors in Postgres; 1e-60 of these units is nothing.
    v_z := greatest(abs(p_estimate), 1e-60) / p_standard_error;
    IF v_z > 1e100 THEN
        p_value := 0;
    ELSE
        v_log_lambda := v_z ^ 2 * (v_ratio / (1 + v_ratio)) / 2 - ml.log1p(v_ratio) / 2;
        p_value := CASE
            WHEN v_log_lambda <= 0 THEN 1
            WHEN v_log_lambda > 700 THEN 0
            ELSE exp(-v_log_lambda)
        END;
    END IF;
    v_half := p_standard_error * sqrt((1 + 1 / v_ratio) * (ml.log1p(v_ratio) - 2 * ln(1 - p_level)));
    low := p_estimate - v_half;
    high := p_estimate + v_half;
END
$function$;
COMMENT ON FUNCTION ml.always_valid_test IS
    'p-value and interval of an estimate that stay valid however often one looks: mixture sequential probability ratio test.';
REVOKE ALL ON FUNCTION ml.always_valid_test FROM PUBLIC;
