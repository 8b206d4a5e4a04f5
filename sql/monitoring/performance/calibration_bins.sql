-- What was said and what happened, by bins of the probability: a reliability diagram as rows, empty bins left out.
-- Called by: ml.expected_calibration_error, ml.reliability_table. Calls: ml.probability_bin, ml.wilson_interval.
-- Reads: nothing. Writes: nothing.

-- p_method: equal_width, p_bins intervals of 1 / p_bins; or equal_count, blocks of as many events each, as NannyML 0.13.1
-- has them: of n div p_bins events, the last one with the rest as well; n div 2 blocks when n is 2 p_bins at most.
-- low and high: Wilson's interval of win_rate. Rows with NULL, or a probability outside 0 to 1 (NaN, too), are left out.
CREATE OR REPLACE FUNCTION ml.calibration_bins(
    p_probability double precision[],
    p_is_win boolean[],
    p_bins integer DEFAULT 10,
    p_method text DEFAULT 'equal_width',
    p_level double precision DEFAULT 0.95
)
RETURNS TABLE (
    bin integer,
    lower_edge double precision,
    upper_edge double precision,
    events bigint,
    wins bigint,
    mean_probability double precision,
    win_rate double precision,
    low double precision,
    high double precision,
    expected_variance double precision,
    squared_deviations double precision
)
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
BEGIN
    IF (p_bins BETWEEN 1 AND 10000) IS NOT TRUE THEN
        RAISE EXCEPTION 'p_bins is %: it must be 1 to 10000', coalesce(p_bins::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF p_method IS NULL OR p_method NOT IN ('equal_width', 'equal_count') THEN
        RAISE EXCEPTION 'p_method is %: it must be equal_width or equal_count', coalesce(p_method, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH binned AS (
        SELECT ml.probability_bin(given.probability, p_bins) AS bin, given.probability, given.is_win
        FROM unnest(p_probability, p_is_win) AS given (probability, is_win)
        WHERE p_method = 'equal_width' AND given.probability BETWEEN 0 AND 1 AND given.is_win IS NOT NULL
        UNION ALL
        SELECT
            least((sized.place - 1) / sized.width, sized.total / sized.width - 1)::integer,
            sized.probability,
            sized.is_win
        FROM (
            SELECT
                ranked.*,
                ranked.total / CASE WHEN ranked.total <= 2 * p_bins THEN greatest(ranked.total / 2, 1) ELSE p_bins END AS width
            FROM (
                SELECT
                    given.probability,
                    given.is_win,
                    row_number() OVER (ORDER BY given.probability, given.is_win) AS place,
                    count(*) OVER () AS total
                FROM unnest(p_probability, p_is_win) AS given (probability, is_win)
                WHERE p_method = 'equal_count' AND given.probability BETWEEN 0 AND 1 AND given.is_win IS NOT NULL
            ) AS ranked
        ) AS sized
    ),

    summed AS (
        SELECT
            binned.bin,
            count(*) AS events,
            count(*) FILTER (WHERE binned.is_win) AS wins,
            min(binned.probability) AS lowest,
            max(binned.probability) AS highest,
            avg(binned.probability) AS mean_probability,
            sum(binned.probability * (1 - binned.probability)) AS expected_variance,
            var_pop(binned.probability - binned.is_win::integer) * count(*) AS squared_deviations
        FROM (
            -- A share of a number near the smallest double would be an underflow, which is an error.
            SELECT b.bin, CASE WHEN b.probability < 1e-200 THEN 0 ELSE b.probability END AS probability, b.is_win
            FROM binned AS b
        ) AS binned
        GROUP BY binned.bin
    )

    SELECT
        summed.bin,
        CASE WHEN p_method = 'equal_width' THEN summed.bin / p_bins::double precision ELSE summed.lowest END,
        CASE WHEN p_method = 'equal_width' THEN (summed.bin + 1) / p_bins::double precision ELSE summed.highest END,
        summed.events,
        summed.wins,
        summed.mean_probability,
        share.share,
        share.low,
        share.high,
        summed.expected_variance,
        summed.squared_deviations
    FROM summed
    CROSS JOIN LATERAL ml.wilson_interval(summed.wins, summed.events, p_level) AS share
    ORDER BY summed.bin;
END
$function$;
COMMENT ON FUNCTION ml.calibration_bins IS
    'What was said and what happened, by bins of the probability: a reliability diagram as rows, empty bins left out.';
REVOKE ALL ON FUNCTION ml.calibration_bins FROM PUBLIC;
