-- What probabilities of a win came true how often: a row per version and bin of ml_confidence, for a reliability diagram.
-- Called by: people and dashboards. Calls: ml.prediction_outcomes, ml.calibration_bins. Reads: nothing. Writes: nothing.

-- Events as in ml.measure_performance, bins as in ml.calibration_bins; a well calibrated model has win_rate, within low to
-- high, near mean_probability in every row.
CREATE OR REPLACE FUNCTION ml.reliability_table(
    p_from timestamptz DEFAULT NULL,
    p_to timestamptz DEFAULT NULL,
    p_model_version text DEFAULT NULL,
    p_bins integer DEFAULT 10,
    p_method text DEFAULT 'equal_width',
    p_pattern_type text DEFAULT NULL,
    p_at timestamptz DEFAULT now()
)
RETURNS TABLE (
    model_version text,
    bin integer,
    lower_edge double precision,
    upper_edge double precision,
    events bigint,
    wins bigint,
    mean_probability double precision,
    win_rate double precision,
    low double precision,
    high double precision
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
-- Sorting on disk takes twice as long.
SET work_mem = '64MB'
AS $function$
BEGIN
    -- What is wrong with the bins is said without any event, too.
    PERFORM ml.calibration_bins('{}', '{}', p_bins, p_method);
    RETURN QUERY
    SELECT
        given.model_version, b.bin, b.lower_edge, b.upper_edge, b.events, b.wins, b.mean_probability, b.win_rate, b.low, b.high
    FROM (
        SELECT found.model_version, array_agg(found.ml_confidence) AS probability, array_agg(found.is_win) AS is_win
        FROM ml.prediction_outcomes(
            p_version => p_model_version,
            p_from => coalesce(p_from, coalesce(p_to, p_at) - interval '30 days'),
            p_to => coalesce(p_to, p_at),
            p_pattern_type => p_pattern_type,
            p_at => p_at
        ) AS found
        WHERE found.left_out IS NULL
        GROUP BY found.model_version
    ) AS given
    CROSS JOIN LATERAL ml.calibration_bins(given.probability, given.is_win, p_bins, p_method) AS b
    ORDER BY given.model_version, b.bin;
END
$function$;
COMMENT ON FUNCTION ml.reliability_table IS
    'What probabilities of a win came true how often: a row per version and bin of ml_confidence, for a reliability diagram.';
REVOKE ALL ON FUNCTION ml.reliability_table FROM PUBLIC;
