-- Champion, challenger and shadow scores beside each other, hour by hour: rates, latency, mean confidence.
-- Called by: dashboards. Calls: ml.merge_histograms, ml.histogram_quantile. Reads: ml.panel_hours. Writes: nothing.

CREATE VIEW ml.v_ml_canary AS
SELECT
    hour.time,
    hour.role,
    hour.model_version,
    hour.predictions,
    hour.predictions / sum(hour.predictions) FILTER (WHERE hour.role <> 'shadow') OVER (PARTITION BY hour.time)::double precision
        AS share,
    hour.fallbacks / hour.predictions::double precision AS fallback_rate,
    hour.errors / hour.predictions::double precision AS error_rate,
    ml.histogram_quantile(hour.histogram, 0.95) AS p95_ms,
    hour.ml_sum / nullif(hour.ml_count, 0) AS mean_ml_confidence,
    hour.blended_sum / nullif(hour.blended_count, 0) AS mean_blended_confidence
FROM (
    SELECT
        bucket AS time,
        role,
        model_version,
        sum(attempted)::bigint AS predictions,
        sum(fallbacks)::bigint AS fallbacks,
        sum(errors)::bigint AS errors,
        ml.merge_histograms(latency_histogram) AS histogram,
        sum(ml_confidence_sum) AS ml_sum,
        sum(ml_confidence_count)::bigint AS ml_count,
        sum(blended_confidence_sum) AS blended_sum,
        sum(blended_confidence_count)::bigint AS blended_count
    FROM ml.panel_hours
    WHERE source IN ('insert', 'update') AND role <> 'rule' AND attempted > 0
    GROUP BY bucket, role, model_version
) AS hour;
COMMENT ON VIEW ml.v_ml_canary IS
    'Champion, challenger and shadow scores beside each other, hour by hour: rates, latency, mean confidence.';
COMMENT ON COLUMN ml.v_ml_canary.time IS 'Start of the hour.';
COMMENT ON COLUMN ml.v_ml_canary.role IS 'champion, challenger (canary: acted on), or shadow (logged, not acted on).';
COMMENT ON COLUMN ml.v_ml_canary.model_version IS 'none: no model was asked.';
COMMENT ON COLUMN ml.v_ml_canary.predictions IS 'Attempted predictions of INSERT and UPDATE.';
COMMENT ON COLUMN ml.v_ml_canary.share IS 'predictions as a share of those acted on in the hour: the canary''s real percentage / 100.';
COMMENT ON COLUMN ml.v_ml_canary.fallback_rate IS 'Share (0 to 1) of predictions that fell back to another score.';
COMMENT ON COLUMN ml.v_ml_canary.error_rate IS 'Share (0 to 1) of predictions that met an error.';
COMMENT ON COLUMN ml.v_ml_canary.p95_ms IS 'Milliseconds, within 12 %; warm calls.';
COMMENT ON COLUMN ml.v_ml_canary.mean_ml_confidence IS 'Mean calibrated ML confidence (0 to 1).';
COMMENT ON COLUMN ml.v_ml_canary.mean_blended_confidence IS 'Mean blended confidence (0 to 1).';
