-- A share of successes with its Wilson score interval; NULLs without trials.
-- Called by: ml.two_proportion_test, people. Calls: ml.normal_quantile. Reads: nothing. Writes: nothing.

-- E. B. Wilson (1927); equals statsmodels 0.15 proportion_confint(method='wilson').
CREATE OR REPLACE FUNCTION ml.wilson_interval(
    p_successes bigint,
    p_trials bigint,
    p_level double precision DEFAULT 0.95,
    OUT share double precision,
    OUT low double precision,
    OUT high double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_z double precision := ml.normal_quantile((1 + p_level) / 2);
    v_square double precision := v_z * v_z / nullif(p_trials, 0);
    v_half double precision;
BEGIN
    IF (p_successes BETWEEN 0 AND p_trials AND p_level > 0 AND p_level < 1) IS NOT TRUE OR p_trials = 0 THEN
        RETURN;
    END IF;
    share := p_successes::double precision / p_trials;
    v_half := sqrt(v_square * (share * (1 - share) + v_square / 4));
    low := CASE WHEN p_successes = 0 THEN 0 ELSE (share + v_square / 2 - v_half) / (1 + v_square) END;
    high := CASE WHEN p_successes = p_trials THEN 1 ELSE (share + v_square / 2 + v_half) / (1 + v_square) END;
END
$function$;
COMMENT ON FUNCTION ml.wilson_interval IS 'A share of successes with its Wilson score interval; NULLs without trials.';
REVOKE ALL ON FUNCTION ml.wilson_interval FROM PUBLIC;
