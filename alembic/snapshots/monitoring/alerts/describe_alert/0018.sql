-- An alert as JSON: what, how loud, since when, by how much, and what to do.
-- Called by: ml.evaluate_alerts, ml_alerts. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.describe_alert(p_alert public.ml_alerts, p_rule public.ml_alert_rules)
RETURNS jsonb
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
-- Times are written as text.
SET timezone = 'UTC'
AS $function$
    SELECT jsonb_build_object(
        'rule', p_alert.rule,
        'key', p_alert.key,
        'alert_type', p_rule.alert_type,
        'severity', p_rule.severity,
        'state', p_alert.state,
        'since', CASE WHEN p_alert.state = 'pending' THEN p_alert.pending_since ELSE p_alert.firing_since END,
        'resolved_at', p_alert.resolved_at,
        'metric', p_rule.metric,
        'value', CASE WHEN p_alert.last_value BETWEEN '-1e308' AND '1e308' THEN p_alert.last_value END,
        'comparison', p_rule.comparison,
        'threshold', p_alert.last_threshold,
        'observations', p_alert.last_count,
        'summary', concat(
            p_rule.summary, ' Last value ', coalesce(round(p_alert.last_value::numeric, 4)::text, 'unknown'), ', threshold ',
            p_rule.comparison, ' ', coalesce(p_alert.last_threshold::text, 'unknown'),
            CASE WHEN p_alert.key <> '' THEN ', ' || p_alert.key END,
            CASE WHEN p_alert.last_count > 1 THEN ', ' || p_alert.last_count || ' observations' END,
            CASE WHEN p_alert.last_detail <> '' THEN ': ' || p_alert.last_detail END),
        'runbook', p_rule.runbook,
        'silenced_until', p_rule.silenced_until
    )
$function$;
COMMENT ON FUNCTION ml.describe_alert IS
    'An alert as JSON: what, how loud, since when, by how much, and what to do.';
REVOKE ALL ON FUNCTION ml.describe_alert FROM PUBLIC;
