-- Sets both weights of the blend at once, with the reason that the audit records; returns the settings.
-- Called by: operators. Calls: nothing. Reads: nothing. Writes: ml_settings.

CREATE OR REPLACE FUNCTION ml.set_weights(p_ml double precision, p_rule double precision, p_reason text)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_settings jsonb;
BEGIN
    -- NaN sorts above infinity.
    IF (p_ml >= 0 AND p_rule >= 0 AND p_ml + p_rule > 0 AND p_ml + p_rule < 'infinity') IS NOT TRUE THEN
        RAISE EXCEPTION 'weights must be finite, not negative and not both 0: they are % and %',
            coalesce(p_ml::text, 'NULL'), coalesce(p_rule::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('ml.reason', coalesce(p_reason, ''), true);
    UPDATE public.ml_settings AS s SET ml_weight = p_ml, rule_weight = p_rule
    RETURNING to_jsonb(s) - 'singleton' INTO v_settings;
    PERFORM set_config('ml.reason', '', true);
    IF v_settings IS NULL THEN
        RAISE EXCEPTION 'table ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN v_settings;
END
$function$;
COMMENT ON FUNCTION ml.set_weights IS
    'Sets both weights of the blend at once, with the reason that the audit records; returns the settings.';
REVOKE ALL ON FUNCTION ml.set_weights FROM PUBLIC;
