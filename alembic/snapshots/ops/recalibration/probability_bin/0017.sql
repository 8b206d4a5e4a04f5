-- Which of some bins of equal width a probability lies in, from 0: closed on the left, the last one on both sides.
-- Called by: ml.measure_calibration, ml.calibration_bins. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.probability_bin(p_probability double precision, p_bins integer)
RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN least(floor(p_probability * p_bins), p_bins - 1)::integer;
COMMENT ON FUNCTION ml.probability_bin IS
    'Which of some bins of equal width a probability lies in, from 0: closed on the left, the last one on both sides.';
REVOKE ALL ON FUNCTION ml.probability_bin FROM PUBLIC;
