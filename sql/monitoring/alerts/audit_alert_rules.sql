-- Row trigger of ml_alert_rules: every change of a rule leaves a row in ml_deployments.
-- Called by: trigger ml_alert_rules_90_audit. Calls: nothing. Reads: nothing. Writes: ml_deployments.

CREATE OR REPLACE FUNCTION ml.audit_alert_rules()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Intervals are written as text.
SET intervalstyle = 'postgres'
AS $function$
BEGIN
    IF TG_OP <> 'UPDATE' OR NEW IS DISTINCT FROM OLD THEN
        INSERT INTO public.ml_deployments (action, reason, details)
        VALUES (
            'alert_rule', nullif(current_setting('ml.reason', true), ''),
            jsonb_build_object(
                'rule', coalesce(NEW.rule, OLD.rule),
                'old', CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - '{summary,runbook}'::text[] END,
                'new', CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - '{summary,runbook}'::text[] END)
        );
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.audit_alert_rules IS
    'Row trigger of ml_alert_rules: every change of a rule leaves a row in ml_deployments.';
REVOKE ALL ON FUNCTION ml.audit_alert_rules FROM PUBLIC;
