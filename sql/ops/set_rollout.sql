-- Sets the share of events that ML scores; raising it keeps every event that was in before.
-- Called by: operators. Calls: ml.change_setting. Reads: nothing. Writes: ml_settings.

CREATE OR REPLACE FUNCTION ml.set_rollout(p_percent double precision, p_reason text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF (p_percent BETWEEN 0 AND 100) IS NOT TRUE THEN
        RAISE EXCEPTION 'rollout percent must lie between 0 and 100, not %', coalesce(p_percent::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN ml.change_setting('rollout_percent', p_percent::text, p_reason);
END
$function$;
COMMENT ON FUNCTION ml.set_rollout IS
    'Sets the share of events that ML scores; raising it keeps every event that was in before.';
REVOKE ALL ON FUNCTION ml.set_rollout FROM PUBLIC;
