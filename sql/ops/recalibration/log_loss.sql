-- Minus the logarithm of the probability that was given to what happened.
-- Called by: ml.compare_calibration, ml.measure_calibration, ml.tune_blend_weights. Calls: nothing.
-- Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.log_loss(p_probability double precision, p_is_win boolean)
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN -ln(CASE
    WHEN p_is_win THEN greatest(p_probability, 1e-15::float8)
    ELSE 1 - least(p_probability, 1 - 1e-15::float8)
END);
COMMENT ON FUNCTION ml.log_loss IS 'Minus the logarithm of the probability that was given to what happened.';
REVOKE ALL ON FUNCTION ml.log_loss FROM PUBLIC;
