-- Two independent shares: their difference (second - first) with Newcombe's interval, and the pooled z test.
-- Called by: ml.compare_with_rules. Calls: ml.wilson_interval, ml.normal_cdf. Reads: nothing. Writes: nothing.

-- statsmodels 0.15: proportions_ztest, and confint_proportions_2indep(method='newcomb') (R. G. Newcombe 1998, method 10).
-- Empty or impossible counts, and shares that are both 0 or both 1, have no test: NULLs.
CREATE OR REPLACE FUNCTION ml.two_proportion_test(
    p_successes_first bigint,
    p_trials_first bigint,
    p_successes_second bigint,
    p_trials_second bigint,
    p_level double precision DEFAULT 0.95,
    OUT share_first double precision,
    OUT share_second double precision,
    OUT difference double precision,
    OUT standard_error double precision,
    OUT low double precision,
    OUT high double precision,
    OUT statistic double precision,
    OUT p_value double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_first record;
    v_second record;
    v_pooled double precision;
BEGIN
    SELECT * INTO v_first FROM ml.wilson_interval(p_successes_first, p_trials_first, p_level);
    SELECT * INTO v_second FROM ml.wilson_interval(p_successes_second, p_trials_second, p_level);
    share_first := v_first.share;
    share_second := v_second.share;
    IF share_first IS NULL OR share_second IS NULL THEN
        RETURN;
    END IF;
    difference := share_second - share_first;
    -- Of the difference itself; the test below takes the pooled share, as the hypothesis says.
    standard_error := sqrt(
        share_first * (1 - share_first) / p_trials_first + share_second * (1 - share_second) / p_trials_second);
    low := difference - sqrt((share_second - v_second.low) ^ 2 + (v_first.high - share_first) ^ 2);
    high := difference + sqrt((v_second.high - share_second) ^ 2 + (share_first - v_first.low) ^ 2);
    v_pooled := (p_successes_first::double precision + p_successes_second)
        / (p_trials_first::double precision + p_trials_second);
    IF v_pooled > 0 AND v_pooled < 1 THEN
        statistic := difference / sqrt(
            v_pooled * (1 - v_pooled) * (1 / p_trials_first::double precision + 1 / p_trials_second::double precision));
        p_value := 2 * ml.normal_cdf(-abs(statistic));
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.two_proportion_test IS
    'Two independent shares: their difference (second - first) with Newcombe''s interval, and the pooled z test.';
REVOKE ALL ON FUNCTION ml.two_proportion_test FROM PUBLIC;
