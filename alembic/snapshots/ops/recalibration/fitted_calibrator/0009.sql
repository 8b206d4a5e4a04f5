-- A fitted calibrator that has no name yet: the columns of ml_calibrators that ml.calibrate takes.
-- Called by: ml.fit_calibrator, ml.predict_walk_forward, ml.recalibrate. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TYPE ml.fitted_calibrator AS (
    method text,
    a double precision,
    b double precision,
    knots_x double precision[],
    knots_y double precision[]
);
COMMENT ON TYPE ml.fitted_calibrator IS
    'A fitted calibrator that has no name yet: the columns of ml_calibrators that ml.calibrate takes.';
