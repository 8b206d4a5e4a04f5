-- Switches ML scoring on, in effect for statements that start after the commit; an open circuit breaker is closed.
-- Called by: operators, trainer demo. Calls: ml.close_breaker, ml.change_setting. Reads: nothing. Writes: ml_settings.

CREATE OR REPLACE FUNCTION ml.enable(p_reason text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT ml.close_breaker(p_reason);
    SELECT ml.change_setting('enabled', 'true', p_reason);
$function$;
COMMENT ON FUNCTION ml.enable IS
    'Switches ML scoring on, in effect for statements that start after the commit; an open circuit breaker is closed.';
REVOKE ALL ON FUNCTION ml.enable FROM PUBLIC;
