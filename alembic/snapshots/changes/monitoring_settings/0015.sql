-- Adds thresholds of alerts and drift, and times of retention, to ml_settings.
-- Called by: the upgrade of revision 0015. Calls: nothing. Reads: nothing. Writes: nothing.

ALTER TABLE public.ml_settings
ADD COLUMN latency_alert_ms double precision NOT NULL DEFAULT 100,
ADD COLUMN fallback_alert_rate double precision NOT NULL DEFAULT 0.20,
ADD COLUMN error_alert_rate double precision NOT NULL DEFAULT 0.10,
ADD COLUMN cache_hit_target_rate double precision NOT NULL DEFAULT 0.80,
ADD COLUMN cache_hit_alert_rate double precision NOT NULL DEFAULT 0.60,
ADD COLUMN drift_watch_distance double precision NOT NULL DEFAULT 0.1,
ADD COLUMN drift_alert_distance double precision NOT NULL DEFAULT 0.3,
ADD COLUMN retention_predictions interval NOT NULL DEFAULT '180 days',
ADD COLUMN retention_metrics_1m interval NOT NULL DEFAULT '30 days',
ADD COLUMN retention_metrics_1h interval NOT NULL DEFAULT '1 year',
ADD COLUMN archive_required boolean NOT NULL DEFAULT true,
ADD CONSTRAINT ml_settings_latency_alert_ms_check CHECK (latency_alert_ms > 0 AND latency_alert_ms < 'infinity'),
ADD CONSTRAINT ml_settings_alert_rates_check CHECK (
    fallback_alert_rate BETWEEN 0 AND 1 AND error_alert_rate BETWEEN 0 AND 1
),
ADD CONSTRAINT ml_settings_cache_hit_rates_check CHECK (
    cache_hit_target_rate BETWEEN 0 AND 1 AND cache_hit_alert_rate BETWEEN 0 AND 1
),
ADD CONSTRAINT ml_settings_drift_distances_check CHECK (
    drift_watch_distance > 0 AND drift_watch_distance <= drift_alert_distance AND drift_alert_distance <= 1
),
ADD CONSTRAINT ml_settings_retention_check CHECK (
    retention_predictions >= '7 days' AND retention_metrics_1m >= '1 day'
    AND retention_metrics_1h >= retention_metrics_1m
);
COMMENT ON COLUMN public.ml_settings.latency_alert_ms IS 'An alert fires when the 95th percentile stays above this.';
COMMENT ON COLUMN public.ml_settings.fallback_alert_rate IS
    'An alert fires when the share of fallbacks stays surely above this; above fallback_warning_rate health warns.';
COMMENT ON COLUMN public.ml_settings.error_alert_rate IS
    'An alert fires when the share of errors stays surely above this; above error_warning_rate health warns.';
COMMENT ON COLUMN public.ml_settings.cache_hit_target_rate IS 'The share of re-scorings that should keep the stored score.';
COMMENT ON COLUMN public.ml_settings.cache_hit_alert_rate IS 'An alert fires when the share of kept scores stays surely below.';
COMMENT ON COLUMN public.ml_settings.drift_watch_distance IS
    'Jensen-Shannon distance (base 2) from the baseline from which a feature is watched.';
COMMENT ON COLUMN public.ml_settings.drift_alert_distance IS
    'Jensen-Shannon distance (base 2) from the baseline from which a feature has drifted.';
COMMENT ON COLUMN public.ml_settings.retention_predictions IS 'How long ml_predictions keeps a prediction, in whole weeks.';
COMMENT ON COLUMN public.ml_settings.retention_metrics_1m IS 'How long ml_metrics_1m keeps a minute.';
COMMENT ON COLUMN public.ml_settings.retention_metrics_1h IS 'How long ml_metrics_1h keeps an hour.';
COMMENT ON COLUMN public.ml_settings.archive_required IS
    'True: predictions past their retention leave the log, but are dropped only when trainer export has archived them.';
