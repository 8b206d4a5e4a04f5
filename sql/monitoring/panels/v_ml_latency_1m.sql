-- How long scoring took, minute by minute and by version: percentiles of warm calls, cold calls apart, share within target.
-- Called by: dashboards. Calls: ml.merge_histograms, ml.histogram_quantile. Reads: ml.panel_minutes. Writes: nothing.

CREATE VIEW ml.v_ml_latency_1m AS
SELECT
    latency.time,
    latency.model_version,
    ml.histogram_quantile(latency.histogram, 0.50) AS p50_ms,
    ml.histogram_quantile(latency.histogram, 0.95) AS p95_ms,
    ml.histogram_quantile(latency.histogram, 0.99) AS p99_ms,
    latency.sum_us / latency.timed / 1000.0::double precision AS mean_ms,
    ml.histogram_quantile(latency.cold_histogram, 0.95) AS cold_p95_ms,
    latency.timed,
    latency.cold_calls,
    latency.within_target / latency.timed::double precision AS sla_compliance
FROM (
    SELECT
        bucket AS time,
        model_version,
        ml.merge_histograms(latency_histogram) AS histogram,
        ml.merge_histograms(cold_latency_histogram) AS cold_histogram,
        sum(latency_sum_us)::double precision AS sum_us,
        sum(timed)::bigint AS timed,
        sum(cold_calls)::bigint AS cold_calls,
        sum(within_target)::bigint AS within_target
    FROM ml.panel_minutes
    WHERE is_live AND timed > 0
    GROUP BY bucket, model_version
) AS latency;
COMMENT ON VIEW ml.v_ml_latency_1m IS
    'How long scoring took, minute by minute and by version: percentiles of warm calls, cold calls apart, share within target.';
COMMENT ON COLUMN ml.v_ml_latency_1m.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_latency_1m.model_version IS 'none: no model was asked.';
COMMENT ON COLUMN ml.v_ml_latency_1m.p50_ms IS 'Milliseconds, within 12 %; warm calls of INSERT and UPDATE, no shadow.';
COMMENT ON COLUMN ml.v_ml_latency_1m.p95_ms IS 'Milliseconds, within 12 %.';
COMMENT ON COLUMN ml.v_ml_latency_1m.p99_ms IS 'Milliseconds, within 12 %.';
COMMENT ON COLUMN ml.v_ml_latency_1m.mean_ms IS 'Milliseconds, exact; cold calls included.';
COMMENT ON COLUMN ml.v_ml_latency_1m.cold_p95_ms IS
    'Milliseconds, within 12 %; first calls of a session, which also compile the function.';
COMMENT ON COLUMN ml.v_ml_latency_1m.timed IS 'Calls with a latency.';
COMMENT ON COLUMN ml.v_ml_latency_1m.cold_calls IS 'Calls that were the first of their version in their session.';
COMMENT ON COLUMN ml.v_ml_latency_1m.sla_compliance IS
    'Share (0 to 1) of timed calls within ml_settings.latency_target_ms of the day.';
