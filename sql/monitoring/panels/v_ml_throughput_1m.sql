-- How many predictions were made, minute by minute and by source.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_minutes. Writes: nothing.

CREATE VIEW ml.v_ml_throughput_1m AS
SELECT
    bucket AS time,
    source,
    sum(predictions)::bigint AS predictions,
    sum(attempted)::bigint AS attempted,
    sum(used)::bigint AS used,
    sum(fallbacks)::bigint AS fallbacks,
    sum(errors)::bigint AS errors,
    sum(predictions)::double precision * 60 / max(seconds) AS per_minute
FROM ml.panel_minutes
WHERE role <> 'shadow'
GROUP BY bucket, source;
COMMENT ON VIEW ml.v_ml_throughput_1m IS 'How many predictions were made, minute by minute and by source.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.source IS 'insert and update are live; backfill and external are not.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.predictions IS 'Predictions of the bucket, shadow scores left out.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.attempted IS 'Predictions that were for ML to make: enabled and in the rollout.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.used IS 'Attempted ones whose score was used.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.fallbacks IS 'Attempted ones that fell back to another score.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.errors IS 'Predictions that met an error.';
COMMENT ON COLUMN ml.v_ml_throughput_1m.per_minute IS 'Predictions per minute, whatever the length of the bucket.';
