-- Audits every change of a setting.
-- Called by: UPDATE of ml_settings. Calls: ml.audit_settings. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER ml_settings_90_audit
AFTER UPDATE ON public.ml_settings
FOR EACH ROW EXECUTE FUNCTION ml.audit_settings();
COMMENT ON TRIGGER ml_settings_90_audit ON public.ml_settings IS 'Audits every change of a setting.';
