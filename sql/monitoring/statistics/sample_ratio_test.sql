-- Sample-ratio check: chi-square test of counts per arm against the shares that they were meant to have.
-- Called by: people. Calls: ml.chi_square_survival. Reads: nothing. Writes: nothing.

-- Equals scipy 1.17 chisquare. p_value below 0.001 is a mismatch: something else than chance filled the arms, and no
-- comparison between them can be believed. An arm that was meant to be empty and is not has p_value 0.
CREATE OR REPLACE FUNCTION ml.sample_ratio_test(
    p_counts bigint[],
    p_shares double precision[],
    OUT events bigint,
    OUT statistic double precision,
    OUT degrees_of_freedom integer,
    OUT p_value double precision,
    OUT is_mismatch boolean
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_total double precision;
    v_is_valid boolean;
    v_is_outside boolean;
BEGIN
    SELECT
        sum(arm.observed) FILTER (WHERE arm.observed BETWEEN 0 AND 1e15),
        sum(arm.share) FILTER (WHERE arm.share BETWEEN 0 AND 1e50),
        count(*) FILTER (WHERE arm.share > 0) - 1,
        bool_and((
            arm.observed BETWEEN 0 AND 1e15 AND (arm.share = 0 OR arm.share BETWEEN 1e-50 AND 1e50)
        ) IS TRUE),
        bool_or(arm.share = 0 AND arm.observed > 0)
    INTO events, v_total, degrees_of_freedom, v_is_valid, v_is_outside
    FROM unnest(p_counts, p_shares) AS arm (observed, share);
    IF v_is_valid IS NOT TRUE OR events = 0 OR v_total = 0 THEN
        events := NULL;
        degrees_of_freedom := NULL;
        RETURN;
    END IF;
    IF v_is_outside THEN
        statistic := 'infinity';
        p_value := 0;
    ELSIF degrees_of_freedom > 0 THEN
        -- (observed - expected)^2 / expected, with expected taken out of the square: it may be tiny.
        SELECT sum((arm.observed / cell.expected - 1) ^ 2 * cell.expected) INTO statistic
        FROM unnest(p_counts, p_shares) AS arm (observed, share)
        CROSS JOIN LATERAL (SELECT events * (arm.share / v_total) AS expected) AS cell
        WHERE arm.share > 0;
        p_value := ml.chi_square_survival(statistic, degrees_of_freedom);
    END IF;
    is_mismatch := p_value < 0.001;
END
$function$;
COMMENT ON FUNCTION ml.sample_ratio_test IS
    'Sample-ratio check: chi-square test of counts per arm against the shares that they were meant to have.';
REVOKE ALL ON FUNCTION ml.sample_ratio_test FROM PUBLIC;
