-- The square of a number, 0 where Postgres would refuse it as too small to hold.
-- Called by: ml.clustered_mean, ml.compare_calibration, ml.measure_calibration, ml.tune_blend_weights, ml.check_quality.
-- Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.square(p_value double precision)
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN abs(p_value) < 1e-150::float8 THEN 0::float8 ELSE p_value * p_value END;
COMMENT ON FUNCTION ml.square IS 'The square of a number, 0 where Postgres would refuse it as too small to hold.';
REVOKE ALL ON FUNCTION ml.square FROM PUBLIC;
