-- The alerts that fire now, the worst first, and those that are about to; right also when no scheduler ever ran.
-- Called by: people and applications. Calls: ml.compute_alert_states, ml.describe_alert.
-- Reads: ml_alerts, ml_alert_rules. Writes: nothing.

-- States that ml.evaluate_alerts wrote within ten minutes before p_at are given as they are; without them the last hour
-- is computed from the log. What fires as of an evaluation for a time ahead is given beside that.
CREATE OR REPLACE FUNCTION public.ml_alerts(p_at timestamptz DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_at timestamptz := coalesce(p_at, statement_timestamp());
    v_minute timestamptz;
    v_last timestamptz;
    v_is_computed boolean;
    v_alerts jsonb;
BEGIN
    IF (v_at BETWEEN '1900-01-01 00:00:00+00' AND '9999-01-01 00:00:00+00') IS NOT TRUE THEN
        RAISE EXCEPTION 'p_at must be a time: leave it out for now' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_minute := date_bin('1 minute', v_at, '2000-01-01 00:00:00+00');
    SELECT max(a.last_evaluated_at) INTO v_last FROM public.ml_alerts AS a;
    v_is_computed := (v_last BETWEEN v_minute - interval '10 minutes' AND v_minute) IS NOT TRUE;

    WITH computed AS MATERIALIZED (
        SELECT c.alert FROM ml.compute_alert_states(v_minute - interval '60 minutes', v_at, true) AS c
        WHERE v_is_computed AND c.from_state IS NULL
    ),
    current AS (
        SELECT computed.alert FROM computed
        UNION ALL
        SELECT a FROM public.ml_alerts AS a
        WHERE NOT v_is_computed OR (
            p_at IS NULL AND a.last_evaluated_at > v_minute AND a.state = 'firing' AND NOT EXISTS (
                SELECT FROM computed
                WHERE (computed.alert).rule = a.rule AND (computed.alert).key = a.key AND (computed.alert).state = 'firing'
            )
        )
    ),
    described AS (
        SELECT
            (current.alert).state,
            (current.alert).last_error AS error,
            (current.alert).rule,
            ml.describe_alert(current.alert, r) AS description,
            array_position('{critical,warning,info}', r.severity) AS place
        FROM current
        JOIN public.ml_alert_rules AS r ON r.rule = (current.alert).rule AND r.enabled
    )
    SELECT jsonb_build_object(
        'alerts', coalesce(
            jsonb_agg(d.description ORDER BY d.place, d.description ->> 'since', d.rule) FILTER (WHERE d.state = 'firing'), '[]'),
        'count', count(*) FILTER (WHERE d.state = 'firing'),
        'pending', coalesce(
            jsonb_agg(d.description ORDER BY d.place, d.description ->> 'since', d.rule) FILTER (WHERE d.state = 'pending'), '[]'),
        'errors', coalesce(jsonb_object_agg(d.rule, d.error) FILTER (WHERE d.error IS NOT NULL), '{}'))
    INTO v_alerts
    FROM described AS d;

    RETURN v_alerts || jsonb_build_object(
        'computed', v_is_computed, 'last_evaluated_at', v_last, 'checked_at', v_at);
END
$function$;
COMMENT ON FUNCTION public.ml_alerts(timestamptz) IS
    'The alerts that fire now, the worst first, and those that are about to; right also when no scheduler ever ran.';
REVOKE ALL ON FUNCTION public.ml_alerts(timestamptz) FROM PUBLIC;
