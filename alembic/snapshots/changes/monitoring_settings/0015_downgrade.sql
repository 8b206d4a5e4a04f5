-- Takes thresholds of alerts and drift, and times of retention, out of ml_settings.
-- Called by: the downgrade of revision 0015. Calls: nothing. Reads: nothing. Writes: nothing.

ALTER TABLE public.ml_settings
DROP COLUMN latency_alert_ms,
DROP COLUMN fallback_alert_rate,
DROP COLUMN error_alert_rate,
DROP COLUMN cache_hit_target_rate,
DROP COLUMN cache_hit_alert_rate,
DROP COLUMN drift_watch_distance,
DROP COLUMN drift_alert_distance,
DROP COLUMN retention_predictions,
DROP COLUMN retention_metrics_1m,
DROP COLUMN retention_metrics_1h,
DROP COLUMN archive_required;
