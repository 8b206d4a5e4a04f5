-- The one row of switches and weights that scoring reads; changed by UPDATE, in effect at commit.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_settings (
    singleton boolean NOT NULL DEFAULT true,
    enabled boolean NOT NULL DEFAULT false,
    ml_weight double precision NOT NULL DEFAULT 0.6,
    rule_weight double precision NOT NULL DEFAULT 0.4,
    confidence_threshold double precision NOT NULL DEFAULT 0.55,
    rollout_percent double precision NOT NULL DEFAULT 100,
    rollout_salt text NOT NULL DEFAULT 'pattern-confidence',
    latency_target_ms double precision NOT NULL DEFAULT 75,
    fallback_warning_rate double precision NOT NULL DEFAULT 0.10,
    error_warning_rate double precision NOT NULL DEFAULT 0.05,
    shadow_percent double precision NOT NULL DEFAULT 100,
    canary_percent double precision NOT NULL DEFAULT 0,
    breaker_enabled boolean NOT NULL DEFAULT true,
    breaker_latency_ms double precision NOT NULL DEFAULT 150,
    breaker_error_rate double precision NOT NULL DEFAULT 0.15,
    breaker_window interval NOT NULL DEFAULT '5 minutes',
    breaker_minimum_calls integer NOT NULL DEFAULT 20,
    breaker_cooldown interval NOT NULL DEFAULT '1 minute',
    breaker_probes integer NOT NULL DEFAULT 3,
    latency_alert_ms double precision NOT NULL DEFAULT 100,
    fallback_alert_rate double precision NOT NULL DEFAULT 0.20,
    error_alert_rate double precision NOT NULL DEFAULT 0.10,
    cache_hit_target_rate double precision NOT NULL DEFAULT 0.80,
    cache_hit_alert_rate double precision NOT NULL DEFAULT 0.60,
    drift_watch_distance double precision NOT NULL DEFAULT 0.1,
    drift_alert_distance double precision NOT NULL DEFAULT 0.3,
    retention_predictions interval NOT NULL DEFAULT '180 days',
    retention_metrics_1m interval NOT NULL DEFAULT '30 days',
    retention_metrics_1h interval NOT NULL DEFAULT '1 year',
    archive_required boolean NOT NULL DEFAULT true,
    CONSTRAINT ml_settings_pkey PRIMARY KEY (singleton),
    CONSTRAINT ml_settings_singleton_check CHECK (singleton),
    -- NaN sorts above infinity, so a bound below infinity refuses it.
    CONSTRAINT ml_settings_weights_check CHECK (
        ml_weight >= 0 AND rule_weight >= 0 AND ml_weight + rule_weight > 0 AND ml_weight + rule_weight < 'infinity'
    ),
    CONSTRAINT ml_settings_confidence_threshold_check CHECK (confidence_threshold BETWEEN 0 AND 1),
    CONSTRAINT ml_settings_rollout_percent_check CHECK (rollout_percent BETWEEN 0 AND 100),
    CONSTRAINT ml_settings_latency_target_ms_check CHECK (latency_target_ms > 0 AND latency_target_ms < 'infinity'),
    CONSTRAINT ml_settings_fallback_warning_rate_check CHECK (fallback_warning_rate BETWEEN 0 AND 1),
    CONSTRAINT ml_settings_error_warning_rate_check CHECK (error_warning_rate BETWEEN 0 AND 1),
    CONSTRAINT ml_settings_shadow_percent_check CHECK (shadow_percent BETWEEN 0 AND 100),
    CONSTRAINT ml_settings_canary_percent_check CHECK (canary_percent BETWEEN 0 AND 100),
    CONSTRAINT ml_settings_breaker_latency_ms_check CHECK (breaker_latency_ms > 0 AND breaker_latency_ms < 'infinity'),
    CONSTRAINT ml_settings_breaker_error_rate_check CHECK (breaker_error_rate BETWEEN 0 AND 1),
    CONSTRAINT ml_settings_breaker_window_check CHECK (breaker_window > '0'),
    CONSTRAINT ml_settings_breaker_minimum_calls_check CHECK (breaker_minimum_calls BETWEEN 1 AND 1000),
    CONSTRAINT ml_settings_breaker_cooldown_check CHECK (breaker_cooldown > '0'),
    CONSTRAINT ml_settings_breaker_probes_check CHECK (breaker_probes BETWEEN 1 AND 100),
    CONSTRAINT ml_settings_latency_alert_ms_check CHECK (latency_alert_ms > 0 AND latency_alert_ms < 'infinity'),
    CONSTRAINT ml_settings_alert_rates_check CHECK (
        fallback_alert_rate BETWEEN 0 AND 1 AND error_alert_rate BETWEEN 0 AND 1
    ),
    CONSTRAINT ml_settings_cache_hit_rates_check CHECK (
        cache_hit_target_rate BETWEEN 0 AND 1 AND cache_hit_alert_rate BETWEEN 0 AND 1
    ),
    CONSTRAINT ml_settings_drift_distances_check CHECK (
        drift_watch_distance > 0 AND drift_watch_distance <= drift_alert_distance AND drift_alert_distance <= 1
    ),
    CONSTRAINT ml_settings_retention_check CHECK (
        retention_predictions >= '7 days' AND retention_metrics_1m >= '1 day'
        AND retention_metrics_1h >= retention_metrics_1m
    )
);
COMMENT ON TABLE public.ml_settings IS
    'The one row of switches and weights that scoring reads; changed by UPDATE, in effect at commit.';
COMMENT ON COLUMN public.ml_settings.enabled IS 'False on a fresh install: every event keeps its rule confidence.';
COMMENT ON COLUMN public.ml_settings.rollout_percent IS 'Share of events, chosen by a stable hash of the id, that ML scores.';
COMMENT ON COLUMN public.ml_settings.shadow_percent IS
    'Share of scored events that the other one of champion and challenger scores as well, for the log alone.';
COMMENT ON COLUMN public.ml_settings.canary_percent IS
    'Share of scored events, chosen by a stable hash of the id, that the challenger scores in the champion''s place.';
COMMENT ON COLUMN public.ml_settings.breaker_latency_ms IS
    'The circuit breaker opens when the 95th percentile of warm calls within breaker_window is above this.';
COMMENT ON COLUMN public.ml_settings.breaker_error_rate IS
    'The circuit breaker opens when a larger share of the calls within breaker_window failed.';
COMMENT ON COLUMN public.ml_settings.breaker_minimum_calls IS 'Fewer calls than this open nothing.';
COMMENT ON COLUMN public.ml_settings.breaker_cooldown IS
    'How long an open circuit breaker keeps ML out before it lets one event per statement through as a probe.';
COMMENT ON COLUMN public.ml_settings.breaker_probes IS 'Good probes in a row that close the circuit breaker.';
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

INSERT INTO public.ml_settings DEFAULT VALUES;
