-- Notifies nobody of a rule until a time: its states go on, and what still fires then is told; NULL ends a silence.
-- Called by: people. Calls: nothing. Reads: ml_alert_rules. Writes: ml_alert_rules.

CREATE OR REPLACE FUNCTION ml.silence_alert(p_rule text, p_until timestamptz, p_reason text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM public.ml_alert_rules AS r WHERE r.rule = p_rule) THEN
        RAISE EXCEPTION 'there is no alert rule %: p_rule is one of %', coalesce(quote_literal(p_rule), 'NULL'),
            (SELECT string_agg(r.rule, ', ' ORDER BY r.rule) FROM public.ml_alert_rules AS r)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_until = 'infinity' THEN
        RAISE EXCEPTION 'p_until is infinity: give a time, or UPDATE ml_alert_rules SET enabled = false to be done with the rule'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_until <= clock_timestamp() THEN
        RAISE EXCEPTION 'p_until is %, which has passed: give a later time, or NULL to end a silence', p_until
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_until IS NOT NULL AND (btrim(p_reason) <> '') IS NOT TRUE THEN
        RAISE EXCEPTION 'p_reason is empty: say why nobody is to be notified' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('ml.reason', coalesce(p_reason, ''), true);
    UPDATE public.ml_alert_rules AS r SET
        silenced_until = p_until,
        silence_reason = CASE WHEN p_until IS NOT NULL THEN left(btrim(p_reason), 300) END
    WHERE r.rule = p_rule;
    PERFORM set_config('ml.reason', '', true);
    RETURN jsonb_build_object(
        'status', 'success', 'rule', p_rule, 'silenced_until', p_until,
        'reason', CASE WHEN p_until IS NOT NULL THEN left(btrim(p_reason), 300) END);
END
$function$;
COMMENT ON FUNCTION ml.silence_alert IS
    'Notifies nobody of a rule until a time: its states go on, and what still fires then is told; NULL ends a silence.';
REVOKE ALL ON FUNCTION ml.silence_alert FROM PUBLIC;
