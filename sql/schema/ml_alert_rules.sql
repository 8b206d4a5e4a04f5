-- When something is to be said, about what and how loudly: rules as data, changed by UPDATE, in effect at the next minute.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_alert_rules (
    rule text NOT NULL,
    severity text NOT NULL,
    summary text NOT NULL,
    metric text NOT NULL,
    comparison text NOT NULL DEFAULT '>',
    threshold double precision,
    threshold_setting text,
    for_duration interval NOT NULL DEFAULT '0',
    evaluation_window interval NOT NULL DEFAULT '5 minutes',
    minimum_count integer NOT NULL DEFAULT 1,
    alert_type text,
    runbook text NOT NULL,
    channels text [] NOT NULL DEFAULT '{pagerduty,webhook}',
    enabled boolean NOT NULL DEFAULT true,
    silenced_until timestamptz,
    silence_reason text,
    CONSTRAINT ml_alert_rules_pkey PRIMARY KEY (rule),
    CONSTRAINT ml_alert_rules_rule_check CHECK (rule ~ '^[a-z][a-z0-9_]{0,62}$'),
    CONSTRAINT ml_alert_rules_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT ml_alert_rules_texts_check CHECK (
        pg_catalog.length(summary) BETWEEN 1 AND 300 AND pg_catalog.length(runbook) BETWEEN 1 AND 600
        AND pg_catalog.length(alert_type) <= 60 AND pg_catalog.length(silence_reason) <= 300
    ),
    CONSTRAINT ml_alert_rules_metric_check CHECK (
        metric IN (
            'latency_p95_ms', 'fallback_rate', 'error_rate', 'cache_hit_rate',
            'health_critical', 'model_not_loaded', 'breaker_open', 'disabled_triggers', 'prediction_gap', 'log_drops',
            'partition_days', 'minutes_since_tick', 'minutes_since_nightly', 'failed_jobs',
            'feature_drift_score', 'prediction_drift_distance', 'data_quality_issues', 'degraded_metrics',
            'calibration_error'
        )
    ),
    CONSTRAINT ml_alert_rules_comparison_check CHECK (comparison IN ('>', '<')),
    CONSTRAINT ml_alert_rules_one_threshold_check CHECK (pg_catalog.num_nonnulls(threshold, threshold_setting) = 1),
    -- NaN sorts above infinity, so a bound below infinity refuses it.
    CONSTRAINT ml_alert_rules_threshold_check CHECK (threshold > '-infinity' AND threshold < 'infinity'),
    CONSTRAINT ml_alert_rules_threshold_setting_check CHECK (
        threshold_setting IN (
            'latency_target_ms', 'latency_alert_ms', 'breaker_latency_ms', 'fallback_warning_rate',
            'fallback_alert_rate', 'error_warning_rate', 'error_alert_rate', 'breaker_error_rate',
            'cache_hit_target_rate', 'cache_hit_alert_rate', 'drift_watch_distance', 'drift_alert_distance'
        )
    ),
    CONSTRAINT ml_alert_rules_for_duration_check CHECK (for_duration BETWEEN '0' AND '1 hour'),
    CONSTRAINT ml_alert_rules_evaluation_window_check CHECK (evaluation_window BETWEEN '1 minute' AND '7 days'),
    CONSTRAINT ml_alert_rules_minimum_count_check CHECK (minimum_count BETWEEN 1 AND 1000000),
    CONSTRAINT ml_alert_rules_channels_check CHECK (channels <@ '{pagerduty,webhook}')
);
COMMENT ON TABLE public.ml_alert_rules IS
    'When something is to be said, about what and how loudly: rules as data, changed by UPDATE, in effect at the next minute.';
COMMENT ON COLUMN public.ml_alert_rules.metric IS 'What is measured: a metric of ml.alert_values.';
COMMENT ON COLUMN public.ml_alert_rules.threshold IS 'The threshold itself, unless threshold_setting names a column of ml_settings.';
COMMENT ON COLUMN public.ml_alert_rules.for_duration IS
    'How many minutes in a row must be beyond the threshold before the alert fires; 0: the first one is enough.';
COMMENT ON COLUMN public.ml_alert_rules.evaluation_window IS
    'Each minute is judged by this much time up to its end; shorter than for_duration, one bad minute alone never fires.';
COMMENT ON COLUMN public.ml_alert_rules.minimum_count IS
    'With fewer observations in the window a minute is not judged: it neither breaches nor ends anything.';
COMMENT ON COLUMN public.ml_alert_rules.alert_type IS 'The kind of alert in other systems, such as DRIFT_DETECTED.';
COMMENT ON COLUMN public.ml_alert_rules.runbook IS 'What to do.';
COMMENT ON COLUMN public.ml_alert_rules.channels IS 'Where notifications go: pagerduty, webhook, both or nowhere.';
COMMENT ON COLUMN public.ml_alert_rules.silenced_until IS 'Until then states go on and nobody is notified; set by ml.silence_alert.';

INSERT INTO public.ml_alert_rules (
    rule, severity, summary, metric, comparison, threshold, threshold_setting, for_duration, evaluation_window,
    minimum_count, alert_type, runbook, channels
)
VALUES
('latency_warning', 'warning', 'The 95th percentile of scoring latency (ms) is above its target.',
    'latency_p95_ms', '>', NULL, 'latency_target_ms', '5 minutes', '3 minutes', 20, NULL,
    'Compare ml_metrics() with the last deployment; a larger model or a busy server are the usual causes.', '{webhook}'),
('inference_latency_high', 'warning', 'The 95th percentile of scoring latency (ms) is above its alert line.',
    'latency_p95_ms', '>', NULL, 'latency_alert_ms', '5 minutes', '3 minutes', 20, NULL,
    'Look at ml_metrics() and the server''s load; SELECT ml.rollback(''latency'') returns to the previous model, SELECT ml.disable(''latency'') to the rules.',
    '{pagerduty,webhook}'),
('health_critical', 'critical', 'ml_health() reports critical problems.',
    'health_critical', '>', 0, NULL, '2 minutes', '5 minutes', 1, NULL,
    'SELECT ml_health() -> ''problems'' says what is wrong and what to do.', '{pagerduty,webhook}'),
('model_not_loaded', 'critical', 'ML is enabled, but the champion or its compiled functions are missing.',
    'model_not_loaded', '>', 0, NULL, '0', '5 minutes', 1, NULL,
    'Deploy the champion again (trainer deploy), or SELECT ml.rollback(''model missing''); until then events keep their rule confidence.',
    '{pagerduty,webhook}'),
('fallback_warning', 'warning', 'More events than planned fall back to the rule''s confidence.',
    'fallback_rate', '>', NULL, 'fallback_warning_rate', '5 minutes', '3 minutes', 20, NULL,
    'SELECT ml_health() -> ''fallback_reasons'' names the reasons.', '{webhook}'),
('fallback_high', 'warning', 'The share of events that fall back to the rule''s confidence is above its alert line.',
    'fallback_rate', '>', NULL, 'fallback_alert_rate', '10 minutes', '5 minutes', 20, NULL,
    'SELECT ml_health() -> ''fallback_reasons'' names the reasons; bar_missing: load bars, then ml.backfill(); error: ml.rollback().',
    '{pagerduty,webhook}'),
('error_warning', 'warning', 'More scorings than planned meet an error.',
    'error_rate', '>', NULL, 'error_warning_rate', '5 minutes', '3 minutes', 20, NULL,
    'SELECT error_sqlstate, count(*) FROM ml_predictions WHERE predicted_at > now() - interval ''1 hour'' GROUP BY 1.',
    '{webhook}'),
('error_high', 'warning', 'The share of scorings that meet an error is above its alert line.',
    'error_rate', '>', NULL, 'error_alert_rate', '5 minutes', '3 minutes', 20, NULL,
    'Count error_sqlstate in ml_predictions; SELECT ml.rollback(''errors'') returns to the previous model.',
    '{pagerduty,webhook}'),
('fallback_high_hour', 'warning', 'Over an hour, the share of events that fall back to the rule''s confidence is above its alert line.',
    'fallback_rate', '>', NULL, 'fallback_alert_rate', '10 minutes', '1 hour', 5, NULL,
    'Also seen with little traffic, or in bursts: see SELECT ml_health() -> ''fallback_reasons''; bar_missing: load bars, then ml.backfill(); error: ml.rollback().',
    '{pagerduty,webhook}'),
('error_high_hour', 'warning', 'Over an hour, the share of scorings that meet an error is above its alert line.',
    'error_rate', '>', NULL, 'error_alert_rate', '10 minutes', '1 hour', 5, NULL,
    'Also seen with little traffic, or in bursts: count error_sqlstate in ml_predictions; SELECT ml.rollback(''errors'') returns to the previous model.',
    '{pagerduty,webhook}'),
('breaker_open', 'warning', 'The circuit breaker keeps ML out: events keep their rule confidence.',
    'breaker_open', '>', 0, NULL, '0', '5 minutes', 1, NULL,
    'Its reason is in ml_deployments; it closes itself after good probes, SELECT ml.close_breaker(''...'') closes it by hand.',
    '{pagerduty,webhook}'),
('cache_hit_low', 'warning', 'Fewer re-scorings than planned keep the stored score.',
    'cache_hit_rate', '<', NULL, 'cache_hit_alert_rate', '10 minutes', '5 minutes', 20, NULL,
    'Something updates prices or times of events again and again: look for UPDATEs of pattern_events that change inputs.',
    '{webhook}'),
('triggers_disabled', 'warning', 'Triggers of pattern_events that score or log are missing or disabled.',
    'disabled_triggers', '>', 0, NULL, '10 minutes', '5 minutes', 1, NULL,
    'ALTER TABLE pattern_events ENABLE TRIGGER ...; then SELECT ml.backfill() for events that came meanwhile.',
    '{pagerduty,webhook}'),
('prediction_gap', 'warning', 'Events were scored, but their predictions are not in the log.',
    'prediction_gap', '>', 0, NULL, '0', '10 minutes', 1, NULL,
    'See ml_log_drops for errors, and whether the triggers pattern_events_90_log_* are enabled.', '{pagerduty,webhook}'),
('log_drops', 'warning', 'Predictions could not be logged.',
    'log_drops', '>', 0, NULL, '0', '10 minutes', 1, NULL,
    'ml_log_drops has the error of each; a missing partition is made by SELECT ml.create_prediction_partitions().',
    '{pagerduty,webhook}'),
('partition_missing', 'critical', 'The log has partitions for too few days from now on.',
    'partition_days', '<', 2, NULL, '0', '5 minutes', 1, NULL,
    'SELECT ml.create_prediction_partitions(); then see why the nightly job does not make them.', '{pagerduty,webhook}'),
('scheduler_missing', 'warning', 'The job of every minute ran before, and has stopped (minutes since its last run).',
    'minutes_since_tick', '>', 10, NULL, '2 minutes', '5 minutes', 1, NULL,
    'Start what calls `trainer tick` or ml.tick() again: pg_cron, cron or a systemd timer.', '{pagerduty,webhook}'),
('nightly_missing', 'warning', 'The nightly job ran before, and has stopped (minutes since its last run).',
    'minutes_since_nightly', '>', 1560, NULL, '2 minutes', '5 minutes', 1, NULL,
    'Run `trainer nightly` and read its report; then see why the schedule does not.', '{pagerduty,webhook}'),
('job_failed', 'warning', 'The last run of ml.tick(), ml.nightly() or ml.apply_retention() failed or was left incomplete.',
    'failed_jobs', '>', 0, NULL, '2 minutes', '5 minutes', 1, NULL,
    'SELECT job, last_error FROM ml_jobs; mend what it says and run the job again: `trainer nightly` may be repeated then.',
    '{pagerduty,webhook}'),
('feature_drift', 'info', 'The distribution of a feature has moved away from the baseline.',
    'feature_drift_score', '>', NULL, 'drift_alert_distance', '0', '2 days', 1, 'DRIFT_DETECTED',
    'SELECT * FROM ml_feature_drift shows which; if the market has changed, retrain, then SELECT ml_set_baseline().',
    '{webhook}'),
('prediction_drift', 'info', 'The distribution of a confidence has moved away from the baseline.',
    'prediction_drift_distance', '>', NULL, 'drift_alert_distance', '0', '2 days', 1, 'DRIFT_DETECTED',
    'SELECT * FROM ml_drift WHERE subject = ''score'' ORDER BY run_at DESC; compare with the drift of features.',
    '{webhook}'),
('data_quality', 'warning', 'Features have missing, unseen, infinite or out-of-range values that the baseline does not explain.',
    'data_quality_issues', '>', 0, NULL, '0', '2 days', 1, 'DATA_QUALITY_ISSUE',
    'SELECT * FROM ml_feature_drift shows which features; check the bars that were loaded last.', '{pagerduty,webhook}'),
('performance_degraded', 'warning', 'Predictions are worse than the baseline beyond chance.',
    'degraded_metrics', '>', 0, NULL, '0', '2 days', 1, 'PERFORMANCE_DEGRADED',
    'SELECT * FROM ml_performance ORDER BY run_at DESC; `trainer retrain` fits a successor, ml.rollback() goes back.',
    '{pagerduty,webhook}'),
('calibration', 'warning', 'The expected calibration error is surely above its limit.',
    'calibration_error', '>', 0.05, NULL, '0', '2 days', 200, 'PERFORMANCE_DEGRADED',
    'Run `trainer recalibrate`: it fits a calibrator to recent outcomes and registers a better one.', '{webhook}');
