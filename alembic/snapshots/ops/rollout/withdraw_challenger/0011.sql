-- Ends shadow and canary: the champion scores every event again, the challenger stays registered.
-- Called by: operators, ml.advance. Calls: ml.lock_switches, ml.change_setting.
-- Reads: ml_aliases. Writes: ml_aliases, ml_settings, ml_deployments.

CREATE OR REPLACE FUNCTION ml.withdraw_challenger(p_reason text)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_challenger public.ml_aliases;
BEGIN
    PERFORM ml.lock_switches();
    DELETE FROM public.ml_aliases AS a WHERE a.alias = 'challenger' RETURNING a.* INTO v_challenger;
    IF v_challenger.version IS NULL THEN
        RAISE EXCEPTION 'there is no challenger to withdraw' USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO public.ml_deployments (action, version, calibrator_version, reason)
    VALUES ('withdraw', v_challenger.version, v_challenger.calibrator_version, p_reason);
    PERFORM ml.change_setting('canary_percent', '0', p_reason);
    RETURN jsonb_build_object('withdrawn', v_challenger.version);
END
$function$;
COMMENT ON FUNCTION ml.withdraw_challenger IS
    'Ends shadow and canary: the champion scores every event again, the challenger stays registered.';
REVOKE ALL ON FUNCTION ml.withdraw_challenger FROM PUBLIC;
