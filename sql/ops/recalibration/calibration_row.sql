-- A logged prediction with its outcome: what calibrators are fitted and judged on.
-- Called by: ml.calibration_rows, ml.calibrated_by, ml.predict_walk_forward, ml.recalibrate, ml.tune_blend_weights.
-- Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TYPE ml.calibration_row AS (
    event_id uuid,
    symbol text,
    timeframe text,
    detected_at timestamptz,
    known_at timestamptz,
    span date,
    raw double precision,
    rule_confidence double precision,
    is_win boolean,
    left_out text
);
COMMENT ON TYPE ml.calibration_row IS
    'A logged prediction with its outcome: what calibrators are fitted and judged on.';
COMMENT ON COLUMN ml.calibration_row.known_at IS
    'When the outcome was known and, whatever it was, could no longer have been another one.';
COMMENT ON COLUMN ml.calibration_row.span IS
    'First day of the month, or of the week where all timeframes are below a day: what moves together.';
COMMENT ON COLUMN ml.calibration_row.left_out IS 'Why the row is not used; NULL: it is.';
