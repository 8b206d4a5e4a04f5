-- Changes one setting by name, with the reason that the audit records; returns the row as it is now.
-- Called by: ml.enable, ml.disable, ml.set_rollout, ml.accept_threshold. Calls: nothing.
-- Reads: ml_settings. Writes: ml_settings.

CREATE OR REPLACE FUNCTION ml.change_setting(p_name text, p_value text, p_reason text)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_settings jsonb;
BEGIN
    PERFORM pg_catalog.set_config('ml.reason', coalesce(p_reason, ''), true);
    EXECUTE pg_catalog.format(
        'UPDATE public.ml_settings AS s SET %I = %L RETURNING pg_catalog.to_jsonb(s) - ''singleton''', p_name, p_value
    ) INTO v_settings;
    PERFORM pg_catalog.set_config('ml.reason', '', true);
    IF v_settings IS NULL THEN
        RAISE EXCEPTION 'table ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES';
    END IF;
    RETURN v_settings;
END
$function$;
COMMENT ON FUNCTION ml.change_setting IS
    'Changes one setting by name, with the reason that the audit records; returns the row as it is now.';
REVOKE ALL ON FUNCTION ml.change_setting FROM PUBLIC;
