-- Reliability of the calibrated ML confidence, day by day and in ten bins: predictions with outcome, wins, confidence.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_outcomes. Writes: nothing.

CREATE VIEW ml.v_ml_reliability AS
SELECT
    time,
    model_version,
    pattern_type,
    pg_catalog.to_char((bin - 1) * 0.1, 'FM0.0') || '-' || pg_catalog.to_char(bin * 0.1, 'FM0.0') AS bin,
    (bin - 1) * 0.1::double precision AS bin_from,
    labelled,
    wins,
    confidence_sum
FROM ml.panel_outcomes
WHERE labelled > 0;
COMMENT ON VIEW ml.v_ml_reliability IS
    'Reliability of the calibrated ML confidence, day by day and in ten bins: predictions with outcome, wins, confidence.';
COMMENT ON COLUMN ml.v_ml_reliability.time IS 'Start of the day (UTC) of the predictions: 30 days.';
COMMENT ON COLUMN ml.v_ml_reliability.bin IS 'Bin of the confidence: its first value belongs to it, its last one to the next.';
COMMENT ON COLUMN ml.v_ml_reliability.bin_from IS 'First value of the bin (0 to 1).';
COMMENT ON COLUMN ml.v_ml_reliability.labelled IS
    'Events whose outcome is known; while some are pending, the known ones are the quick ones. When all days together have more than 60,000 predictions, about: one event in n counts n times.';
COMMENT ON COLUMN ml.v_ml_reliability.wins IS 'Those that won; wins / labelled over any days is the observed share.';
COMMENT ON COLUMN ml.v_ml_reliability.confidence_sum IS
    'Their ML confidences added up; confidence_sum / labelled over any days is the predicted share.';
