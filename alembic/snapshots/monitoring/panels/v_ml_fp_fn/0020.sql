-- Confirmed events that did not win and winners not confirmed, day by day, by version and pattern type, over 30 days.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_outcomes. Writes: nothing.

CREATE VIEW ml.v_ml_fp_fn AS
SELECT
    time,
    model_version,
    pattern_type,
    sum(true_positives)::bigint AS true_positives,
    sum(false_positives)::bigint AS false_positives,
    sum(false_negatives)::bigint AS false_negatives,
    sum(true_negatives)::bigint AS true_negatives,
    sum(false_positives)::double precision / nullif(sum(false_positives + true_negatives), 0)::double precision
        AS false_positive_rate,
    sum(false_negatives)::double precision / nullif(sum(false_negatives + true_positives), 0)::double precision
        AS false_negative_rate
FROM ml.panel_outcomes
WHERE labelled > 0
GROUP BY time, model_version, pattern_type;
COMMENT ON VIEW ml.v_ml_fp_fn IS
    'Confirmed events that did not win and winners not confirmed, day by day, by version and pattern type, over 30 days.';
COMMENT ON COLUMN ml.v_ml_fp_fn.time IS 'Start of the day (UTC) of the predictions: 30 days.';
COMMENT ON COLUMN ml.v_ml_fp_fn.true_positives IS
    'Events confirmed (blended confidence at or above the threshold of now) that won. When all days together have more than 60,000 predictions, about: one event in n counts n times, as in all counts here.';
COMMENT ON COLUMN ml.v_ml_fp_fn.false_positives IS 'Events confirmed that lost or timed out.';
COMMENT ON COLUMN ml.v_ml_fp_fn.false_negatives IS 'Events not confirmed that won.';
COMMENT ON COLUMN ml.v_ml_fp_fn.true_negatives IS 'Events not confirmed that lost or timed out.';
COMMENT ON COLUMN ml.v_ml_fp_fn.false_positive_rate IS 'Share (0 to 1) of events that did not win which were confirmed.';
COMMENT ON COLUMN ml.v_ml_fp_fn.false_negative_rate IS 'Share (0 to 1) of winners which were not confirmed.';
