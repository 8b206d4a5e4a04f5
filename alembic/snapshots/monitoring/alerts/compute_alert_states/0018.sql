-- Every alert's changes of state in the minutes that end after p_from and up to p_to, and its state after them.
-- Called by: ml.evaluate_alerts, ml_alerts. Calls: ml.alert_values, ml.next_alert_state.
-- Reads: ml_alert_rules, ml_alerts. Writes: nothing.

-- A row with from_state is a change; the row without is the state after all of them. p_afresh leaves the stored states
-- out of it: all begins with normal, and a state that is beyond its threshold now counts as firing, since how long it
-- has been so is not known.
CREATE OR REPLACE FUNCTION ml.compute_alert_states(p_from timestamptz, p_to timestamptz, p_afresh boolean DEFAULT false)
RETURNS TABLE (
    rule text, key text, occurred_at timestamptz, from_state text, to_state text, cause text, alert public.ml_alerts
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    v_minute CONSTANT timestamptz := date_bin('1 minute', p_to, '2000-01-01 00:00:00+00');
    v_rule public.ml_alert_rules;
    v_alert public.ml_alerts;
    v_next public.ml_alerts;
    v_value record;
BEGIN
    FOR v_value IN
        WITH measured AS MATERIALIZED (SELECT v.* FROM ml.alert_values(p_to, p_from) AS v)
        SELECT m.*, m.evaluated_at = max(m.evaluated_at) OVER per_alert AS is_last, row_number() OVER per_alert AS place
        FROM (
            SELECT
                v.evaluated_at, v.rule, v.key, v.value, v.threshold, v.observations, v.breached, v.detail, v.error
            FROM measured AS v
            UNION ALL
            -- An alert that nothing was measured for; a rule that never was has a row as well.
            SELECT v_minute, known.rule, known.key, NULL, NULL, NULL, NULL, NULL, NULL
            FROM (
                SELECT a.rule, a.key FROM public.ml_alerts AS a
                WHERE NOT p_afresh AND EXISTS (SELECT FROM public.ml_alert_rules AS r WHERE r.enabled AND r.rule = a.rule)
                UNION
                SELECT r.rule, '' FROM public.ml_alert_rules AS r
                WHERE r.enabled
                    AND NOT EXISTS (SELECT FROM measured AS v WHERE v.rule = r.rule)
                    AND (p_afresh OR NOT EXISTS (SELECT FROM public.ml_alerts AS a WHERE a.rule = r.rule))
            ) AS known
            WHERE NOT EXISTS (SELECT FROM measured AS v WHERE v.rule = known.rule AND v.key = known.key)
        ) AS m
        WINDOW per_alert AS (
            PARTITION BY m.rule, m.key ORDER BY m.evaluated_at RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        )
        ORDER BY m.rule, m.key, m.evaluated_at
    LOOP
        IF v_value.place = 1 THEN
            SELECT r.* INTO v_rule FROM public.ml_alert_rules AS r WHERE r.rule = v_value.rule;
            SELECT a.* INTO v_alert FROM public.ml_alerts AS a
            WHERE a.rule = v_value.rule AND a.key = v_value.key AND NOT p_afresh;
            IF v_alert.rule IS NULL THEN
                v_alert := NULL;
                v_alert.rule := v_value.rule;
                v_alert.key := v_value.key;
                v_alert.state := 'normal';
                v_alert.breached_minutes := 0;
            END IF;
            IF p_afresh AND v_rule.metric NOT IN ('latency_p95_ms', 'fallback_rate', 'error_rate', 'cache_hit_rate') THEN
                v_rule.for_duration := '0';
            END IF;
        END IF;
        v_next := ml.next_alert_state(v_alert, v_rule, v_value.evaluated_at, v_value.breached);
        v_next.last_error := v_value.error;
        v_next.last_threshold := coalesce(v_value.threshold, v_alert.last_threshold);
        IF v_value.breached IS NOT NULL THEN
            v_next.last_value := v_value.value;
            v_next.last_count := v_value.observations;
            v_next.last_detail := v_value.detail;
        END IF;

        rule := v_value.rule;
        key := v_value.key;
        occurred_at := v_value.evaluated_at;
        alert := v_next;
        IF v_next.state <> v_alert.state THEN
            from_state := v_alert.state;
            to_state := v_next.state;
            cause := CASE
                WHEN v_alert.state = 'resolved' AND v_next.state = 'normal' THEN 'settled'
                WHEN v_value.breached THEN 'breached'
                WHEN v_value.breached IS NULL THEN 'no_data'
                ELSE 'recovered'
            END;
            RETURN NEXT;
        END IF;
        v_alert := v_next;
        IF v_value.is_last THEN
            from_state := NULL;
            to_state := v_next.state;
            cause := NULL;
            RETURN NEXT;
        END IF;
    END LOOP;

    -- What a rule said that is disabled or gone is over.
    FOR v_alert IN
        SELECT a.* FROM public.ml_alerts AS a
        WHERE NOT p_afresh AND NOT EXISTS (SELECT FROM public.ml_alert_rules AS r WHERE r.enabled AND r.rule = a.rule)
        ORDER BY a.rule, a.key
    LOOP
        rule := v_alert.rule;
        key := v_alert.key;
        occurred_at := v_minute;
        alert := v_alert;
        alert.last_evaluated_at := v_minute;
        IF v_alert.state <> 'normal' THEN
            alert.state := CASE v_alert.state WHEN 'firing' THEN 'resolved' ELSE 'normal' END;
            alert.resolved_at := CASE v_alert.state WHEN 'firing' THEN v_minute ELSE v_alert.resolved_at END;
            alert.pending_since := NULL;
            alert.breached_minutes := 0;
            from_state := v_alert.state;
            to_state := alert.state;
            cause := 'rule_disabled';
            RETURN NEXT;
        END IF;
        from_state := NULL;
        to_state := alert.state;
        cause := NULL;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION ml.compute_alert_states IS
    'Every alert''s changes of state in the minutes that end after p_from and up to p_to, and its state after them.';
REVOKE ALL ON FUNCTION ml.compute_alert_states FROM PUBLIC;
