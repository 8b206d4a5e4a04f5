-- Row trigger of ml_gates: every change of a gate leaves a row in ml_deployments.
-- Called by: trigger ml_gates_90_audit. Calls: nothing. Reads: nothing. Writes: ml_deployments.

CREATE OR REPLACE FUNCTION ml.audit_gates()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF TG_OP <> 'UPDATE' OR NEW IS DISTINCT FROM OLD THEN
        INSERT INTO public.ml_deployments (action, reason, details)
        VALUES (
            'gate', nullif(current_setting('ml.reason', true), ''),
            jsonb_build_object(
                'gate', coalesce(NEW.gate, OLD.gate),
                'old', CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'description' END,
                'new', CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'description' END)
        );
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.audit_gates IS 'Row trigger of ml_gates: every change of a gate leaves a row in ml_deployments.';
REVOKE ALL ON FUNCTION ml.audit_gates FROM PUBLIC;
