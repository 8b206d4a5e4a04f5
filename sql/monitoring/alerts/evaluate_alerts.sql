-- Evaluates the rules on every full minute since the last evaluation, records changes of state and what is to be delivered.
-- Called by: ml.run_step, operators. Calls: ml.lock_job, ml.compute_alert_states, ml.describe_alert. Reads: ml_alert_rules.
-- Writes: ml_alerts, ml_alert_transitions, ml_notifications; NOTIFY ml_alerts.

-- At most the last 60 minutes are made up for; an earlier p_at than the last does nothing. A last evaluation for a time
-- that has not come yet, when p_at has, was a mistake or the work of a clock that was ahead: it holds up nothing. The
-- minute of p_at is the next one then, and states keep what they are: what began or was seen in the time to come counts
-- as of the minute before, so that nothing fires or ends, and nobody is told, but for what that minute shows.
CREATE OR REPLACE FUNCTION ml.evaluate_alerts(p_at timestamptz DEFAULT now())
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Times are written as text.
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
DECLARE
    v_slack CONSTANT interval := interval '1 minute';
    v_minute CONSTANT timestamptz := date_bin('1 minute', p_at, '2000-01-01 00:00:00+00');
    v_last timestamptz;
    v_from timestamptz;
    v_mistaken timestamptz;
    v_change record;
    v_rule public.ml_alert_rules;
    v_notified timestamptz;
    v_transitions jsonb := '[]'::jsonb;
    v_errors jsonb := '{}'::jsonb;
    v_notifications integer := 0;
    v_written integer;
    v_place text := '';
BEGIN
    IF (p_at BETWEEN '1900-01-01 00:00:00+00' AND '9999-01-01 00:00:00+00') IS NOT TRUE THEN
        RAISE EXCEPTION 'p_at must be a time: leave it out for now' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT ml.lock_job('alerts') THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', 'another session is evaluating the alerts');
    END IF;
    SELECT max(a.last_evaluated_at) INTO v_last FROM public.ml_alerts AS a;
    IF v_last > clock_timestamp() + v_slack AND v_minute < v_last AND p_at <= clock_timestamp() + v_slack THEN
        v_mistaken := v_last;
        v_last := v_minute - interval '1 minute';
        UPDATE public.ml_notifications AS n SET firing_since = v_last
        FROM public.ml_alerts AS a
        WHERE a.rule = n.rule AND a.key = n.key AND a.firing_since = n.firing_since AND a.firing_since > v_last;
        UPDATE public.ml_alerts AS a SET
            breached_minutes = CASE WHEN a.state = 'pending' AND a.pending_since > v_last THEN 0 ELSE a.breached_minutes END,
            pending_since = CASE WHEN a.pending_since > v_last THEN v_last ELSE a.pending_since END,
            firing_since = CASE WHEN a.firing_since > v_last THEN v_last ELSE a.firing_since END,
            resolved_at = CASE WHEN a.resolved_at > v_last THEN v_last ELSE a.resolved_at END,
            last_known_at = CASE WHEN a.last_known_at > v_last THEN v_last ELSE a.last_known_at END,
            last_evaluated_at = CASE WHEN a.last_evaluated_at > v_last THEN v_last ELSE a.last_evaluated_at END,
            notified_at = CASE WHEN a.notified_at > v_last THEN v_last ELSE a.notified_at END;
    ELSIF v_minute = v_last THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', 'already evaluated for this minute');
    ELSIF v_minute < v_last THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', format(
            'p_at %s is before the minute of the last evaluation, %s', p_at, v_last));
    END IF;
    v_from := greatest(v_last, v_minute - interval '60 minutes');

    FOR v_change IN SELECT c.* FROM ml.compute_alert_states(v_from, p_at) AS c LOOP
        -- Changes of one alert follow each other, its state comes last.
        IF v_place <> v_change.rule || ' ' || v_change.key THEN
            v_place := v_change.rule || ' ' || v_change.key;
            SELECT r.* INTO v_rule FROM public.ml_alert_rules AS r WHERE r.rule = v_change.rule;
            IF NOT FOUND THEN
                v_rule.rule := v_change.rule;
                v_rule.severity := 'info';
                v_rule.summary := 'The rule of this alert was removed.';
            END IF;
            SELECT a.notified_at INTO v_notified FROM public.ml_alerts AS a
            WHERE a.rule = v_change.rule AND a.key = v_change.key;
        END IF;

        IF v_change.from_state IS NOT NULL THEN
            INSERT INTO public.ml_alert_transitions (
                occurred_at, rule, key, severity, alert_type, from_state, to_state, cause, value, threshold,
                observations, detail
            )
            VALUES (
                v_change.occurred_at, v_change.rule, v_change.key, v_rule.severity, v_rule.alert_type,
                v_change.from_state, v_change.to_state, v_change.cause, (v_change.alert).last_value,
                (v_change.alert).last_threshold, (v_change.alert).last_count, (v_change.alert).last_detail
            );
            v_transitions := v_transitions || jsonb_build_object(
                'occurred_at', v_change.occurred_at, 'rule', v_change.rule, 'key', v_change.key,
                'severity', v_rule.severity, 'from', v_change.from_state, 'to', v_change.to_state,
                'cause', v_change.cause, 'value', to_jsonb((v_change.alert).last_value),
                'threshold', (v_change.alert).last_threshold);
            -- Names, states and numbers: far below the 8,000 bytes that a payload may have.
            PERFORM pg_notify('ml_alerts', (v_transitions -> -1)::text);
        END IF;

        IF v_change.from_state = 'firing' AND v_notified IS NOT NULL THEN
            -- To where the firing was told, whatever the rule says today.
            INSERT INTO public.ml_notifications (rule, key, transition, channel, severity, firing_since, payload)
            SELECT
                v_change.rule, v_change.key, 'resolved', told.channel, told.severity, told.firing_since,
                ml.describe_alert(v_change.alert, v_rule) || jsonb_build_object('severity', told.severity)
            FROM public.ml_notifications AS told
            WHERE told.rule = v_change.rule AND told.key = v_change.key AND told.transition = 'firing'
                AND told.firing_since = (v_change.alert).firing_since;
            GET DIAGNOSTICS v_written = ROW_COUNT;
            v_notifications := v_notifications + v_written;
            v_notified := NULL;
        END IF;
        -- Also when it fires already and a silence has ended.
        IF (v_change.alert).state = 'firing' AND v_notified IS NULL AND (v_rule.silenced_until > p_at) IS NOT TRUE THEN
            INSERT INTO public.ml_notifications (rule, key, transition, channel, severity, firing_since, payload)
            SELECT
                v_change.rule, v_change.key, 'firing', channel.name, v_rule.severity, (v_change.alert).firing_since,
                ml.describe_alert(v_change.alert, v_rule)
            FROM unnest(v_rule.channels) AS channel (name)
            GROUP BY channel.name;
            GET DIAGNOSTICS v_written = ROW_COUNT;
            v_notifications := v_notifications + v_written;
            v_notified := v_change.occurred_at;
        END IF;

        IF v_change.from_state IS NULL THEN
            IF (v_change.alert).last_error IS NOT NULL THEN
                v_errors := v_errors || jsonb_build_object(v_change.rule, (v_change.alert).last_error);
            END IF;
            v_change.alert.notified_at := v_notified;
            INSERT INTO public.ml_alerts SELECT (v_change.alert).*
            ON CONFLICT ON CONSTRAINT ml_alerts_pkey DO UPDATE SET
                state = excluded.state, pending_since = excluded.pending_since, firing_since = excluded.firing_since,
                resolved_at = excluded.resolved_at, last_value = excluded.last_value,
                last_evaluated_at = excluded.last_evaluated_at, last_known_at = excluded.last_known_at,
                last_count = excluded.last_count, last_threshold = excluded.last_threshold,
                last_detail = excluded.last_detail, last_error = excluded.last_error,
                breached_minutes = excluded.breached_minutes, notified_at = excluded.notified_at;
        END IF;
    END LOOP;

    -- Nothing more will be said of disabled rules, nor of versions that are gone.
    DELETE FROM public.ml_alerts AS a
    WHERE a.state = 'normal' AND (
        NOT EXISTS (SELECT FROM public.ml_alert_rules AS r WHERE r.enabled AND r.rule = a.rule)
        OR (a.key <> '' AND a.last_known_at < v_minute - interval '30 days')
    );

    RETURN jsonb_build_object(
        'status', 'done',
        'evaluated_at', v_minute,
        'minutes', extract(epoch FROM v_minute - v_from)::integer / 60,
        'minutes_left_out', greatest(extract(epoch FROM v_from - v_last)::bigint / 60, 0),
        'firing', (SELECT count(*) FROM public.ml_alerts AS a WHERE a.state = 'firing'),
        'pending', (SELECT count(*) FROM public.ml_alerts AS a WHERE a.state = 'pending'),
        'transitions', v_transitions,
        'notifications', v_notifications,
        'errors', v_errors)
        || CASE WHEN v_mistaken IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('mistaken_evaluation', v_mistaken) END;
END
$function$;
COMMENT ON FUNCTION ml.evaluate_alerts IS
    'Evaluates the rules on every full minute since the last evaluation, records changes of state and what is to be delivered.';
REVOKE ALL ON FUNCTION ml.evaluate_alerts FROM PUBLIC;
