-- Row trigger of registry tables: what is immutable or append-only says so instead of changing.
-- Called by: triggers ml_models_10_refuse_change, ml_calibrators_10_refuse_change, ml_deployments_10_refuse_change.
-- Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.refuse_change()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed: add a new one', TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state';
END
$function$;
COMMENT ON FUNCTION ml.refuse_change IS
    'Row trigger of registry tables: what is immutable or append-only says so instead of changing.';
REVOKE ALL ON FUNCTION ml.refuse_change FROM PUBLIC;
