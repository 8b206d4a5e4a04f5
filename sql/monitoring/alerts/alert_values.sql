-- What every enabled rule sees in the last full minute at p_at: value, threshold, and whether it is surely beyond.
-- Called by: ml.compute_alert_states, people. Calls: ml.minute_alert_values, ml.measure_state.
-- Reads: ml_alert_rules, ml_settings. Writes: nothing.

-- With p_from also what rules about rates and latency saw in the minutes that ended after it; states and nightly runs
-- are known as of p_at alone. breached is NULL when a minute cannot be judged.
CREATE OR REPLACE FUNCTION ml.alert_values(p_at timestamptz DEFAULT now(), p_from timestamptz DEFAULT NULL)
RETURNS TABLE (
    evaluated_at timestamptz, rule text, key text, value double precision, bound double precision,
    threshold double precision, observations bigint, breached boolean, detail text, error text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_minute CONSTANT timestamptz := date_bin('1 minute', p_at, '2000-01-01 00:00:00+00');
    v_minute_metrics CONSTANT text[] := '{latency_p95_ms,fallback_rate,error_rate,cache_hit_rate}'::text[];
    v_no_settings CONSTANT text := 'ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES';
    v_settings CONSTANT jsonb := (SELECT to_jsonb(s) FROM public.ml_settings AS s);
    v_rule public.ml_alert_rules;
    v_error text;
BEGIN
    IF (p_at BETWEEN '1900-01-01 00:00:00+00' AND '9999-01-01 00:00:00+00') IS NOT TRUE THEN
        RAISE EXCEPTION 'p_at must be a time: leave it out for now' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    BEGIN
        RETURN QUERY
        SELECT
            v.evaluated_at, v.rule, '', v.value, v.bound, v.threshold, v.observations, v.breached, NULL::text,
            CASE WHEN v.threshold IS NULL THEN v_no_settings END
        FROM ml.minute_alert_values(coalesce(p_from, v_minute - interval '1 minute'), v_minute) AS v;
    EXCEPTION WHEN OTHERS THEN
        v_error := left(SQLERRM, 500);
        RETURN QUERY
        SELECT
            v_minute, r.rule, '', NULL::double precision, NULL::double precision, NULL::double precision, NULL::bigint,
            NULL::boolean, NULL::text, v_error
        FROM public.ml_alert_rules AS r
        WHERE r.enabled AND r.metric = ANY (v_minute_metrics);
    END;

    -- One that fails does not stop the others.
    FOR v_rule IN
        SELECT r.* FROM public.ml_alert_rules AS r
        WHERE r.enabled AND r.metric <> ALL (v_minute_metrics) ORDER BY r.rule
    LOOP
        BEGIN
            RETURN QUERY
            SELECT
                v_minute, v_rule.rule, m.key, m.value, m.bound, given.threshold, m.observations,
                CASE WHEN m.observations >= v_rule.minimum_count THEN
                    CASE v_rule.comparison WHEN '>' THEN m.bound > given.threshold ELSE m.bound < given.threshold END
                END,
                left(m.detail, 500),
                CASE WHEN given.threshold IS NULL THEN v_no_settings END
            FROM ml.measure_state(v_rule.metric, p_at, v_rule.evaluation_window) AS m
            CROSS JOIN LATERAL (
                SELECT coalesce(v_rule.threshold, (v_settings ->> v_rule.threshold_setting)::double precision) AS threshold
            ) AS given;
        EXCEPTION WHEN OTHERS THEN
            evaluated_at := v_minute;
            rule := v_rule.rule;
            key := '';
            error := left(SQLERRM, 500);
            RETURN NEXT;
        END;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION ml.alert_values IS
    'What every enabled rule sees in the last full minute at p_at: value, threshold, and whether it is surely beyond.';
REVOKE ALL ON FUNCTION ml.alert_values FROM PUBLIC;
