-- Outcomes of the predictions that were acted on, a row per day, version, pattern type and tenth of confidence; 30 days.
-- Called by: views v_ml_accuracy, v_ml_fp_fn, v_ml_reliability. Calls: ml.summarize_outcomes. Reads: ml.panel_bounds.
-- Writes: nothing.

-- A day at a time, so that a filter on time leaves the other days unread.
CREATE VIEW ml.panel_outcomes AS
SELECT
    day.time,
    outcome.*
FROM pg_catalog.generate_series(
    (SELECT b.days_from FROM ml.panel_bounds AS b), pg_catalog.statement_timestamp(), interval '24 hours'
) AS day (time)
CROSS JOIN LATERAL ml.summarize_outcomes(day.time, (SELECT b.day_step FROM ml.panel_bounds AS b)) AS outcome;
COMMENT ON VIEW ml.panel_outcomes IS
    'Outcomes of the predictions that were acted on, a row per day, version, pattern type and tenth of confidence; 30 days.';
COMMENT ON COLUMN ml.panel_outcomes.time IS 'Start of the day (UTC) of the predictions.';
COMMENT ON COLUMN ml.panel_outcomes.bin IS 'Tenth of the calibrated ML confidence, 1 to 10.';
COMMENT ON COLUMN ml.panel_outcomes.labelled IS
    'Predictions whose outcome is known. While a day has pending outcomes, the known ones are the quick ones.';
