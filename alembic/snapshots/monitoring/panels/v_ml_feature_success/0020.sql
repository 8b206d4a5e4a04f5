-- For which share of the events that were for ML to score the features could be computed, minute by minute.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_minutes. Writes: nothing.

CREATE VIEW ml.v_ml_feature_success AS
SELECT
    counted.time,
    counted.attempted,
    counted.bar_missing,
    counted.timeframe_unknown,
    counted.errors,
    counted.attempted - counted.failed AS extracted,
    (counted.attempted - counted.failed) / counted.attempted::double precision AS success_rate
FROM (
    SELECT
        bucket AS time,
        sum(attempted)::bigint AS attempted,
        sum(coalesce((reasons ->> 'bar_missing')::bigint, 0))::bigint AS bar_missing,
        sum(coalesce((reasons ->> 'timeframe_unknown')::bigint, 0))::bigint AS timeframe_unknown,
        sum(coalesce((reasons ->> 'error')::bigint, 0))::bigint AS errors,
        sum(
            coalesce((reasons ->> 'bar_missing')::bigint, 0) + coalesce((reasons ->> 'timeframe_unknown')::bigint, 0)
            + coalesce((reasons ->> 'error')::bigint, 0)
        )::bigint AS failed
    FROM ml.panel_minutes
    WHERE is_live AND attempted > 0
    GROUP BY bucket
) AS counted;
COMMENT ON VIEW ml.v_ml_feature_success IS
    'For which share of the events that were for ML to score the features could be computed, minute by minute.';
COMMENT ON COLUMN ml.v_ml_feature_success.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_feature_success.attempted IS 'Predictions that were for ML to make: enabled and in the rollout.';
COMMENT ON COLUMN ml.v_ml_feature_success.bar_missing IS 'Without a usable bar: no features.';
COMMENT ON COLUMN ml.v_ml_feature_success.timeframe_unknown IS 'Of a timeframe that ml_timeframes does not have: no features.';
COMMENT ON COLUMN ml.v_ml_feature_success.errors IS
    'Met an error in features or model, which the log does not tell apart; counted as no features.';
COMMENT ON COLUMN ml.v_ml_feature_success.extracted IS 'Attempted ones with features.';
COMMENT ON COLUMN ml.v_ml_feature_success.success_rate IS 'Share (0 to 1) of extracted in attempted.';
