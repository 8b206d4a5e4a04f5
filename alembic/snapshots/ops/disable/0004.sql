-- Switches ML scoring off at once: every event keeps its rule confidence.
-- Called by: operators, trainer demo. Calls: ml.change_setting. Reads: nothing. Writes: ml_settings.

CREATE OR REPLACE FUNCTION ml.disable(p_reason text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT ml.change_setting('enabled', 'false', p_reason)
$function$;
COMMENT ON FUNCTION ml.disable IS
    'Switches ML scoring off at once: every event keeps its rule confidence.';
REVOKE ALL ON FUNCTION ml.disable FROM PUBLIC;
