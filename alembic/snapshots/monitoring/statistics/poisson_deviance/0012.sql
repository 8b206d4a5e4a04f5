-- Half the deviance of a count from its mean, count * ln(count / mean) + mean - count, without cancellation.
-- Called by: ml.regularized_gamma_upper, ml.beta_kernel. Calls: ml.log1p. Reads: nothing. Writes: nothing.

-- The term bd0 of C. Loader, Fast and accurate computation of binomial probabilities (2000). count and mean are positive;
-- count - mean is an argument because the caller often knows it to more digits than a subtraction would leave.
CREATE OR REPLACE FUNCTION ml.poisson_deviance(
    p_count double precision,
    p_mean double precision,
    p_difference double precision
)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_excess double precision := -p_difference / p_count;
BEGIN
    RETURN CASE
        WHEN abs(v_excess) < 0.5 THEN p_count * (v_excess - ml.log1p(v_excess))
        WHEN p_mean < 1e-200 THEN p_count * (pg_catalog.ln(p_count) - pg_catalog.ln(p_mean)) - p_difference
        ELSE p_count * pg_catalog.ln(p_count / p_mean) - p_difference
    END;
END
$function$;
COMMENT ON FUNCTION ml.poisson_deviance IS
    'Half the deviance of a count from its mean, count * ln(count / mean) + mean - count, without cancellation.';
REVOKE ALL ON FUNCTION ml.poisson_deviance FROM PUBLIC;
