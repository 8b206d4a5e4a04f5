-- Distribution function of the binomial distribution, P(at most k successes in n trials); exact sum, not an approximation.
-- Called by: ml.mcnemar_test. Calls: ml.regularized_beta. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.binomial_cdf(p_successes bigint, p_trials bigint, p_probability double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
BEGIN
    RETURN CASE
        WHEN (p_successes IS NOT NULL AND p_trials >= 0 AND p_probability BETWEEN 0 AND 1) IS NOT TRUE THEN NULL
        WHEN p_successes < 0 THEN 0
        WHEN p_successes >= p_trials THEN 1
        ELSE ml.regularized_beta(1 - p_probability, p_probability, p_trials - p_successes, p_successes + 1)
    END;
END
$function$;
COMMENT ON FUNCTION ml.binomial_cdf IS
    'Distribution function of the binomial distribution, P(at most k successes in n trials); exact sum, not an approximation.';
REVOKE ALL ON FUNCTION ml.binomial_cdf FROM PUBLIC;
