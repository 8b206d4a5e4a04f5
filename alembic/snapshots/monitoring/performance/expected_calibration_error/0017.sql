-- Expected calibration error over bins of equal width or of equal count, with its error and what chance alone gives.
-- Called by: ml.classification_metrics, people. Calls: ml.calibration_bins. Reads: nothing. Writes: nothing.

-- by_chance: the error to be expected if every probability were right, from the normal distribution of a bin's gap; few
-- events have a large one. standard_error: of the gaps with their signs as found, which is cautious where they are small.
CREATE OR REPLACE FUNCTION ml.expected_calibration_error(
    p_probability double precision[],
    p_is_win boolean[],
    p_bins integer DEFAULT 10,
    p_method text DEFAULT 'equal_width',
    OUT value double precision,
    OUT standard_error double precision,
    OUT by_chance double precision
)
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        sum(abs(b.mean_probability * b.events - b.wins)) / sum(b.events)::double precision,
        sqrt(sum(b.squared_deviations)) / sum(b.events)::double precision,
        sqrt(2 / pi()) * sum(sqrt(b.expected_variance)) / sum(b.events)::double precision
    FROM ml.calibration_bins(p_probability, p_is_win, p_bins, p_method) AS b
$function$;
COMMENT ON FUNCTION ml.expected_calibration_error IS
    'Expected calibration error over bins of equal width or of equal count, with its error and what chance alone gives.';
REVOKE ALL ON FUNCTION ml.expected_calibration_error FROM PUBLIC;
