-- Performance on known outcomes beside its estimate for predictions without one, run by run, with baseline and limits.
-- Called by: dashboards. Calls: nothing. Reads: ml_performance. Writes: nothing.

CREATE VIEW ml.v_ml_realised_estimated AS
SELECT
    run_at AS time,
    model_version,
    CASE WHEN pattern_type = '' THEN 'all' ELSE pattern_type END AS pattern_type,
    metric,
    max(value) FILTER (WHERE kind = 'realised') AS realised,
    max(low) FILTER (WHERE kind = 'realised') AS realised_low,
    max(high) FILTER (WHERE kind = 'realised') AS realised_high,
    max(value) FILTER (WHERE kind = 'estimated') AS estimated,
    max(low) FILTER (WHERE kind = 'estimated') AS estimated_low,
    max(high) FILTER (WHERE kind = 'estimated') AS estimated_high,
    max(baseline) AS baseline,
    max(lower_limit) FILTER (WHERE kind = 'realised') AS lower_limit,
    max(upper_limit) FILTER (WHERE kind = 'realised') AS upper_limit,
    max(labelled) FILTER (WHERE kind = 'realised') AS labelled
FROM public.ml_performance
GROUP BY run_at, model_version, pattern_type, metric;
COMMENT ON VIEW ml.v_ml_realised_estimated IS
    'Performance on known outcomes beside its estimate for predictions without one, run by run, with baseline and limits.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.time IS 'Time of the run, the end of its window (30 days); none before ml.nightly.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.pattern_type IS 'all: all pattern types together.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.metric IS 'As in ml_performance; of 0 to 1, except log_loss.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.realised IS 'The metric on known outcomes.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.realised_low IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.realised_high IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.estimated IS 'The metric estimated from the confidences alone (CBPE).';
COMMENT ON COLUMN ml.v_ml_realised_estimated.estimated_low IS 'The estimate less 3 sampling errors.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.estimated_high IS 'The estimate plus 3 sampling errors.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.baseline IS 'The metric when the baseline was set.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.lower_limit IS 'Below it the realised figure of a metric that should be high is degraded.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.upper_limit IS 'Above it the realised figure of a metric that should be low is degraded.';
COMMENT ON COLUMN ml.v_ml_realised_estimated.labelled IS 'Predictions with a known outcome.';
