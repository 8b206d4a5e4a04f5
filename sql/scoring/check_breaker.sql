-- Opens the circuit breaker when live scoring fails or is slow, and closes it when its probes are good again.
-- Called by: ml.log_predictions, after a statement with an error, a slow call or a probe; operators.
-- Calls: nothing. Reads: ml_settings, ml.breaker_switch, ml_aliases, ml_predictions. Writes: ml_deployments.

-- State is the newest row of the history, so nothing is updated that writers could queue on, and no scheduler is
-- needed. Calls are those of the champion within breaker_window, the newest 1,000 at most, since the last switch:
-- errors and invalid scores count as failures, cold calls do not count for latency.
CREATE OR REPLACE FUNCTION ml.check_breaker(p_at timestamptz DEFAULT clock_timestamp())
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_settings public.ml_settings;
    v_champion public.ml_aliases;
    v_switch public.ml_deployments;
    v_calls record;
    v_is_open boolean;
    v_action text;
    v_reason text;
BEGIN
    SELECT * INTO v_settings FROM public.ml_settings;
    SELECT * INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';
    SELECT * INTO v_switch FROM ml.breaker_switch;
    v_is_open := coalesce(v_switch.action = 'breaker_open' AND v_switch.version = v_champion.version, false);
    IF v_settings.breaker_enabled IS NOT TRUE THEN
        RETURN 'disabled';
    END IF;

    SELECT
        count(*) AS calls,
        count(*) FILTER (WHERE call.failed) AS failures,
        count(*) FILTER (WHERE NOT call.cold) AS warm_calls,
        count(*) FILTER (WHERE NOT call.failed AND (call.cold OR call.latency_ms <= v_settings.breaker_latency_ms))
            AS good_calls,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY call.latency_ms) FILTER (WHERE NOT call.cold) AS latency_p95,
        min(call.predicted_at) AS first_call,
        (array_agg(call.error_sqlstate) FILTER (WHERE call.error_sqlstate IS NOT NULL))[1] AS sqlstate
    INTO v_calls
    FROM (
        SELECT
            p.predicted_at, p.cold, p.error_sqlstate, p.latency_us / 1000.0::double precision AS latency_ms,
            p.error_sqlstate IS NOT NULL
                OR coalesce(p.fallback_reason IN ('score_invalid', 'champion_failed'), false) AS failed
        FROM public.ml_predictions AS p
        WHERE p.predicted_at > CASE
                -- Good probes do not grow old, however rarely events arrive.
                WHEN v_is_open THEN v_switch.occurred_at + v_settings.breaker_cooldown
                ELSE greatest(p_at - v_settings.breaker_window, v_switch.occurred_at)
            END
            AND p.predicted_at <= p_at
            AND p.role = 'champion' AND p.source IN ('insert', 'update') AND NOT p.cache_hit
            AND p.fallback_reason IS DISTINCT FROM 'breaker_open'
            AND (p.arm = 'probe') = v_is_open
        ORDER BY p.predicted_at DESC
        LIMIT 1000
    ) AS call;

    IF v_is_open THEN
        IF v_calls.good_calls < v_calls.calls THEN
            v_action := 'breaker_open';
            v_reason := format('a probe failed: %s of %s since the cooldown', v_calls.calls - v_calls.good_calls, v_calls.calls);
        ELSIF v_calls.calls >= v_settings.breaker_probes THEN
            v_action := 'breaker_close';
            v_reason := format('%s good probes', v_calls.calls);
        END IF;
    ELSIF v_calls.calls >= v_settings.breaker_minimum_calls
        AND v_calls.failures > v_settings.breaker_error_rate * v_calls.calls
    THEN
        v_action := 'breaker_open';
        v_reason := format('%s of %s calls failed', v_calls.failures, v_calls.calls)
            || coalesce(format(' (SQLSTATE %s)', v_calls.sqlstate), '');
    ELSIF v_calls.warm_calls >= v_settings.breaker_minimum_calls
        AND v_calls.latency_p95 > v_settings.breaker_latency_ms
    THEN
        v_action := 'breaker_open';
        v_reason := format(
            '95th percentile of %s warm calls is %s ms', v_calls.warm_calls, round(v_calls.latency_p95::numeric, 1));
    END IF;
    IF v_action IS NULL THEN
        RETURN CASE WHEN v_is_open THEN 'open' ELSE 'closed' END;
    END IF;

    -- Of several writers that notice at once one writes the row. A transaction that holds the lock for long, its
    -- row unseen, does not keep the others from it.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ml.check_breaker', 0))
        AND v_calls.first_call > p_at - interval '10 seconds'
    THEN
        RETURN CASE WHEN v_is_open THEN 'open' ELSE 'closed' END;
    END IF;
    -- Whoever was faster has written it, between the first reading and the lock.
    IF v_switch.id IS DISTINCT FROM (SELECT now_newest.id FROM ml.breaker_switch AS now_newest) THEN
        RETURN 'changed meanwhile';
    END IF;
    INSERT INTO public.ml_deployments (action, version, calibrator_version, occurred_at, reason, details)
    VALUES (
        v_action, v_champion.version, v_champion.calibrator_version, p_at, v_reason,
        jsonb_build_object(
            'calls', v_calls.calls, 'failures', v_calls.failures, 'warm_calls', v_calls.warm_calls,
            'latency_p95_ms', v_calls.latency_p95, 'was', CASE WHEN v_is_open THEN 'open' ELSE 'closed' END));
    RETURN CASE v_action WHEN 'breaker_open' THEN 'open' ELSE 'closed' END;
END
$function$;
COMMENT ON FUNCTION ml.check_breaker IS
    'Opens the circuit breaker when live scoring fails or is slow, and closes it when its probes are good again.';
REVOKE ALL ON FUNCTION ml.check_breaker FROM PUBLIC;
