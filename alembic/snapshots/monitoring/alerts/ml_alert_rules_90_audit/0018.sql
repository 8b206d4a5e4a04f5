-- Audits every change of an alert rule.
-- Called by: INSERT, UPDATE OR DELETE of ml_alert_rules. Calls: ml.audit_alert_rules. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_alert_rules_90_audit
AFTER INSERT OR UPDATE OR DELETE ON public.ml_alert_rules
FOR EACH ROW EXECUTE FUNCTION ml.audit_alert_rules();
COMMENT ON TRIGGER ml_alert_rules_90_audit ON public.ml_alert_rules IS 'Audits every change of an alert rule.';
