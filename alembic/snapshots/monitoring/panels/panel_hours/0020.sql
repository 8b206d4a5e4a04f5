-- Counts and histograms for panels by hour, the newest ones counted from minutes and log.
-- Called by: views of panels. Calls: ml.metrics_by_hour. Reads: ml.panel_bounds, ml_metrics_1h. Writes: nothing.

-- A filter on bucket reaches the index of the stored hours.
CREATE VIEW ml.panel_hours AS
SELECT
    metrics.bucket,
    metrics.seconds,
    metrics.source,
    metrics.role,
    coalesce(nullif(metrics.model_version, ''), 'none') AS model_version,
    metrics.source IN ('insert', 'update') AND metrics.role <> 'shadow' AS is_live,
    metrics.predictions,
    metrics.attempted,
    metrics.used,
    metrics.fallbacks,
    metrics.errors,
    metrics.rescorings,
    metrics.cache_hits,
    metrics.timed,
    metrics.within_target,
    metrics.latency_sum_us,
    metrics.cold_calls,
    metrics.latency_histogram,
    metrics.cold_latency_histogram,
    metrics.reasons,
    metrics.ml_confidence_count,
    metrics.ml_confidence_sum,
    metrics.rule_confidence_count,
    metrics.rule_confidence_sum,
    metrics.blended_confidence_count,
    metrics.blended_confidence_sum,
    metrics.ml_confidence_histogram,
    metrics.rule_confidence_histogram,
    metrics.blended_confidence_histogram
FROM (
    SELECT 3600::double precision AS seconds, m.*
    FROM public.ml_metrics_1h AS m
    WHERE m.bucket < (
        SELECT pg_catalog.date_bin('1 hour', b.minutes_until, '2000-01-01 00:00:00+00') FROM ml.panel_bounds AS b
    )
    UNION ALL
    SELECT 3600::double precision AS seconds, m.*
    FROM ml.metrics_by_hour(
        (SELECT b.log_hours_from FROM ml.panel_bounds AS b), pg_catalog.statement_timestamp() + interval '24 hours'
    ) AS m
) AS metrics;
COMMENT ON VIEW ml.panel_hours IS
    'Counts and histograms for panels by hour, the newest ones counted from minutes and log.';
COMMENT ON COLUMN ml.panel_hours.bucket IS
    'Start of the hour; a filter on it reaches the index of the stored ones.';
COMMENT ON COLUMN ml.panel_hours.seconds IS 'Length of the bucket: 3600.';
COMMENT ON COLUMN ml.panel_hours.model_version IS 'none: no model was asked.';
COMMENT ON COLUMN ml.panel_hours.is_live IS 'Of INSERT and UPDATE, and no shadow score.';
