-- How well confidence matched outcomes, day by day, by version and pattern type, over the last 30 days.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_outcomes. Writes: nothing.

CREATE VIEW ml.v_ml_accuracy AS
SELECT
    time,
    model_version,
    pattern_type,
    sum(predictions)::bigint AS predictions,
    sum(labelled)::bigint AS labelled,
    sum(wins)::bigint AS wins,
    sum(true_positives + true_negatives)::bigint AS correct,
    sum(true_positives + true_negatives)::double precision / nullif(sum(labelled), 0)::double precision AS accuracy,
    sum(wins)::double precision / nullif(sum(labelled), 0)::double precision AS win_rate,
    sum(confidence_sum) / nullif(sum(labelled), 0)::double precision AS mean_confidence,
    sum(squared_error_sum) / nullif(sum(labelled), 0)::double precision AS brier
FROM ml.panel_outcomes
GROUP BY time, model_version, pattern_type;
COMMENT ON VIEW ml.v_ml_accuracy IS
    'How well confidence matched outcomes, day by day, by version and pattern type, over the last 30 days.';
COMMENT ON COLUMN ml.v_ml_accuracy.time IS 'Start of the day (UTC) of the predictions: 30 days; v_ml_realised_estimated has a year.';
COMMENT ON COLUMN ml.v_ml_accuracy.predictions IS
    'Events that ML scored on INSERT or UPDATE, each once a day. When all days together have more than 60,000 predictions, about: one event in n counts n times, as in all counts here.';
COMMENT ON COLUMN ml.v_ml_accuracy.labelled IS
    'Those whose outcome is known; while some are pending, the known ones are the quick ones.';
COMMENT ON COLUMN ml.v_ml_accuracy.wins IS 'Labelled ones that won.';
COMMENT ON COLUMN ml.v_ml_accuracy.correct IS
    'Labelled ones confirmed (blended confidence at or above the threshold of now) and won, or neither.';
COMMENT ON COLUMN ml.v_ml_accuracy.accuracy IS 'Share (0 to 1) of correct in labelled.';
COMMENT ON COLUMN ml.v_ml_accuracy.win_rate IS 'Share (0 to 1) of wins in labelled.';
COMMENT ON COLUMN ml.v_ml_accuracy.mean_confidence IS
    'Mean calibrated ML confidence (0 to 1) of labelled ones: equal to win_rate when calibrated.';
COMMENT ON COLUMN ml.v_ml_accuracy.brier IS 'Mean squared difference of ML confidence and outcome (0 is best, 0.25 a coin).';
