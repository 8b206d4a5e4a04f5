-- Stops the challenger, in shadow and in canary, when it fails or is slow as the circuit breaker counts it.
-- Called by: ml.log_predictions, after a statement with an error or a slow call; operators. Calls: nothing.
-- Reads: ml_settings, ml_aliases, ml.challenger_switch, ml_predictions. Writes: ml_deployments.

-- A shadow is scored inside the user's statement as well: a slow one is felt, though never acted on.
CREATE OR REPLACE FUNCTION ml.check_challenger(p_at timestamptz DEFAULT clock_timestamp())
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_settings public.ml_settings;
    v_challenger public.ml_aliases;
    v_switch public.ml_deployments;
    v_calls record;
    v_reason text;
BEGIN
    SELECT * INTO v_challenger FROM public.ml_aliases AS a WHERE a.alias = 'challenger';
    IF v_challenger.version IS NULL THEN
        RETURN 'none';
    END IF;
    SELECT * INTO v_settings FROM public.ml_settings;
    SELECT * INTO v_switch FROM ml.challenger_switch;
    IF v_switch.action = 'challenger_stop' THEN
        RETURN 'stopped';
    ELSIF v_settings.breaker_enabled IS NOT TRUE THEN
        RETURN 'disabled';
    END IF;

    SELECT
        count(*) AS calls,
        count(*) FILTER (WHERE call.failed) AS failures,
        count(*) FILTER (WHERE NOT call.cold) AS warm_calls,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY call.latency_ms) FILTER (WHERE NOT call.cold) AS latency_p95
    INTO v_calls
    FROM (
        SELECT
            p.cold, p.latency_us / 1000.0::double precision AS latency_ms,
            p.error_sqlstate IS NOT NULL
                OR coalesce(p.fallback_reason IN ('score_invalid', 'challenger_failed'), false) AS failed
        FROM public.ml_predictions AS p
        WHERE p.predicted_at > greatest(p_at - v_settings.breaker_window, v_switch.occurred_at) AND p.predicted_at <= p_at
            AND (p.role = 'challenger' OR (p.role = 'shadow' AND p.model_version = v_challenger.version))
            AND NOT p.cache_hit
        ORDER BY p.predicted_at DESC
        LIMIT 1000
    ) AS call;
    IF v_calls.calls >= v_settings.breaker_minimum_calls
        AND v_calls.failures > v_settings.breaker_error_rate * v_calls.calls
    THEN
        v_reason := format('%s of %s calls failed', v_calls.failures, v_calls.calls);
    ELSIF v_calls.warm_calls >= v_settings.breaker_minimum_calls
        AND v_calls.latency_p95 > v_settings.breaker_latency_ms
    THEN
        v_reason := format(
            '95th percentile of %s warm calls is %s ms', v_calls.warm_calls, round(v_calls.latency_p95::numeric, 1));
    END IF;
    IF v_reason IS NULL OR NOT pg_try_advisory_xact_lock(hashtextextended('ml.check_challenger', 0)) THEN
        RETURN 'running';
    END IF;
    -- Whoever was faster has written it, between the first reading and the lock.
    IF v_switch.id IS DISTINCT FROM (SELECT now_newest.id FROM ml.challenger_switch AS now_newest) THEN
        RETURN 'changed meanwhile';
    END IF;
    INSERT INTO public.ml_deployments (action, version, calibrator_version, occurred_at, reason, details)
    VALUES (
        'challenger_stop', v_challenger.version, v_challenger.calibrator_version, p_at, v_reason,
        jsonb_build_object('calls', v_calls.calls, 'failures', v_calls.failures, 'warm_calls', v_calls.warm_calls,
            'latency_p95_ms', v_calls.latency_p95));
    RETURN 'stopped';
END
$function$;
COMMENT ON FUNCTION ml.check_challenger IS
    'Stops the challenger, in shadow and in canary, when it fails or is slow as the circuit breaker counts it.';
REVOKE ALL ON FUNCTION ml.check_challenger FROM PUBLIC;
