-- What happened, one JSON entry per line of a log: predictions, switches, alerts, predictions that could not be logged.
-- Called by: people and log shippers. Calls: nothing.
-- Reads: ml_predictions, ml_deployments, ml_alert_transitions, ml_log_drops. Writes: nothing.

-- Ask for a time, WHERE logged_at > now() - interval '1 hour': it reaches the partitions of the log and their indexes.
-- features_count is how many features the model was given, of which some may be missing. Numbers that JSON has not (NaN,
-- infinity) are null.
CREATE VIEW public.ml_log WITH (security_invoker = true) AS
SELECT
    prediction.predicted_at AS logged_at,
    CASE
        WHEN prediction.error_sqlstate IS NOT NULL THEN 'ERROR'
        WHEN prediction.role <> 'rule' AND prediction.fallback_reason IS NOT NULL THEN 'WARNING'
        ELSE 'INFO'
    END AS level,
    CASE WHEN prediction.role = 'shadow' THEN 'shadow_prediction' ELSE 'prediction' END AS event,
    pg_catalog.jsonb_build_object(
        'timestamp',
        pg_catalog.to_char(prediction.predicted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'service', 'pattern-confidence',
        'level', CASE
            WHEN prediction.error_sqlstate IS NOT NULL THEN 'ERROR'
            WHEN prediction.role <> 'rule' AND prediction.fallback_reason IS NOT NULL THEN 'WARNING'
            ELSE 'INFO'
        END,
        'event', CASE WHEN prediction.role = 'shadow' THEN 'shadow_prediction' ELSE 'prediction' END,
        'pattern_id', prediction.event_id,
        'prediction_id', prediction.id,
        'source', prediction.source,
        'role', prediction.role,
        'model_version', prediction.model_version,
        'inference_latency_ms', prediction.latency_us / 1000.0::double precision,
        'confidence_ml', CASE WHEN prediction.ml_confidence BETWEEN 0 AND 1 THEN prediction.ml_confidence END,
        'confidence_rule', CASE WHEN prediction.rule_confidence BETWEEN 0 AND 1 THEN prediction.rule_confidence END,
        'confidence_blended',
        CASE WHEN prediction.blended_confidence BETWEEN 0 AND 1 THEN prediction.blended_confidence END,
        'cache_hit', prediction.cache_hit,
        'features_count', pg_catalog.cardinality(prediction.features),
        'fallback_reason', prediction.fallback_reason,
        'error_sqlstate', prediction.error_sqlstate
    ) AS entry
FROM public.ml_predictions AS prediction
UNION ALL
SELECT
    deployment.occurred_at,
    CASE WHEN deployment.action IN ('rollback', 'breaker_open', 'challenger_stop', 'disable') THEN 'WARNING' ELSE 'INFO' END,
    deployment.action,
    pg_catalog.jsonb_build_object(
        'timestamp',
        pg_catalog.to_char(deployment.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'service', 'pattern-confidence',
        'level', CASE
            WHEN deployment.action IN ('rollback', 'breaker_open', 'challenger_stop', 'disable') THEN 'WARNING'
            ELSE 'INFO'
        END,
        'event', deployment.action,
        'model_version', deployment.version,
        'previous_version', deployment.previous_version,
        'actor', deployment.actor,
        'reason', deployment.reason,
        'details', deployment.details
    )
FROM public.ml_deployments AS deployment
UNION ALL
SELECT
    transition.occurred_at,
    CASE
        WHEN transition.to_state <> 'firing' THEN 'INFO'
        WHEN transition.severity = 'critical' THEN 'CRITICAL'
        WHEN transition.severity = 'warning' THEN 'WARNING'
        ELSE 'INFO'
    END,
    'alert_' || transition.to_state,
    pg_catalog.jsonb_build_object(
        'timestamp',
        pg_catalog.to_char(transition.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'service', 'pattern-confidence',
        'level', CASE
            WHEN transition.to_state <> 'firing' THEN 'INFO'
            WHEN transition.severity = 'critical' THEN 'CRITICAL'
            WHEN transition.severity = 'warning' THEN 'WARNING'
            ELSE 'INFO'
        END,
        'event', 'alert_' || transition.to_state,
        'rule', transition.rule,
        'key', transition.key,
        'severity', transition.severity,
        'alert_type', transition.alert_type,
        'from_state', transition.from_state,
        'cause', transition.cause,
        'value', CASE WHEN transition.value > '-infinity' AND transition.value < 'infinity' THEN transition.value END,
        'threshold', transition.threshold,
        'detail', transition.detail
    )
FROM public.ml_alert_transitions AS transition
UNION ALL
SELECT
    dropped.dropped_at,
    'ERROR',
    'log_drop',
    pg_catalog.jsonb_build_object(
        'timestamp',
        pg_catalog.to_char(dropped.dropped_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'service', 'pattern-confidence',
        'level', 'ERROR',
        'event', 'log_drop',
        'pattern_id', dropped.event_id,
        'prediction_id', dropped.prediction_id,
        'error_sqlstate', dropped.error_sqlstate,
        'error_message', dropped.error_message
    )
FROM public.ml_log_drops AS dropped;
COMMENT ON VIEW public.ml_log IS
    'What happened, one JSON entry per line of a log: predictions, switches, alerts, predictions that could not be logged.';
COMMENT ON COLUMN public.ml_log.logged_at IS 'When it happened; a filter on it reaches the partitions of the log.';
COMMENT ON COLUMN public.ml_log.level IS 'INFO, WARNING, ERROR or CRITICAL.';
COMMENT ON COLUMN public.ml_log.event IS
    'prediction, shadow_prediction, log_drop, alert_ and the state, or the action of ml_deployments.';
COMMENT ON COLUMN public.ml_log.entry IS 'The entry; its keys depend on the event.';
