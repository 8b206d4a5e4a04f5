-- Counts and histograms for panels: minutes of the last 3 days, hours before, the newest ones counted from the log.
-- Called by: views of panels. Calls: ml.metrics_by_minute. Reads: ml.panel_bounds, ml_metrics_1h, ml_metrics_1m. Writes: nothing.

-- A filter on bucket reaches the indexes of both tables, whatever its range: a year is read as 8,760 hours at most, not as
-- half a million minutes.
CREATE VIEW ml.panel_minutes AS
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
    WHERE m.bucket < (SELECT b.hours_until FROM ml.panel_bounds AS b)
    UNION ALL
    SELECT 60::double precision AS seconds, m.*
    FROM public.ml_metrics_1m AS m
    WHERE m.bucket >= (SELECT b.hours_until FROM ml.panel_bounds AS b)
        AND m.bucket < (SELECT b.minutes_until FROM ml.panel_bounds AS b)
    UNION ALL
    SELECT 60::double precision AS seconds, m.*
    FROM ml.metrics_by_minute(
        (SELECT b.log_minutes_from FROM ml.panel_bounds AS b), pg_catalog.statement_timestamp() + interval '24 hours'
    ) AS m
) AS metrics;
COMMENT ON VIEW ml.panel_minutes IS
    'Counts and histograms for panels: minutes of the last 3 days, hours before, the newest ones counted from the log.';
COMMENT ON COLUMN ml.panel_minutes.bucket IS
    'Start of the minute or hour; a filter on it reaches the index of the stored ones, whatever its range.';
COMMENT ON COLUMN ml.panel_minutes.seconds IS 'Length of the bucket: 60 or 3600.';
COMMENT ON COLUMN ml.panel_minutes.model_version IS 'none: no model was asked.';
COMMENT ON COLUMN ml.panel_minutes.is_live IS 'Of INSERT and UPDATE, and no shadow score.';
