-- Health of scoring at a glance: status, what is live, rates of the last hour, and each problem in a sentence.
-- Called by: applications. Calls: nothing.
-- Reads: ml_settings, ml_aliases, ml.breaker_switch, ml.challenger_switch, ml_predictions, ml_log_drops,
--        pattern_events, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION public.ml_health(p_window interval DEFAULT '1 hour')
RETURNS jsonb
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The bounds of partitions are read as text.
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
DECLARE
    v_now timestamptz := pg_catalog.statement_timestamp();
    v_settings public.ml_settings;
    v_champion public.ml_aliases;
    v_challenger text;
    v_switch public.ml_deployments;
    v_trial public.ml_deployments;
    v_breaker text;
    v_model_loaded boolean;
    v_counts record;
    v_waiting bigint;
    v_drops bigint;
    v_last timestamptz;
    v_partitions_until timestamptz;
    v_fallback_rate double precision;
    v_error_rate double precision;
    v_critical text[] := '{}'::text[];
    v_warnings text[] := '{}'::text[];
BEGIN
    SELECT * INTO v_settings FROM public.ml_settings;
    SELECT * INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';
    SELECT a.version INTO v_challenger FROM public.ml_aliases AS a WHERE a.alias = 'challenger';
    SELECT * INTO v_switch FROM ml.breaker_switch;
    SELECT * INTO v_trial FROM ml.challenger_switch;
    v_breaker := CASE
        WHEN NOT v_settings.breaker_enabled THEN 'disabled'
        WHEN (v_switch.action = 'breaker_open' AND v_switch.version = v_champion.version) IS NOT TRUE THEN 'closed'
        WHEN v_now < v_switch.occurred_at + v_settings.breaker_cooldown THEN 'open'
        ELSE 'half_open'
    END;
    v_model_loaded := v_champion.version IS NOT NULL AND (
        SELECT pg_catalog.count(*) = 2 FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'ml_generated'::regnamespace
            AND p.proname IN ('score_' || v_champion.version, 'features_' || v_champion.version)
    );

    -- Attempted: enabled and in the rollout. Backfilled and external rows say nothing about live scoring.
    SELECT
        pg_catalog.count(*) AS predictions,
        pg_catalog.count(*) FILTER (WHERE p.role <> 'rule') AS attempted,
        pg_catalog.count(*) FILTER (WHERE p.role <> 'rule' AND p.fallback_reason IS NOT NULL) AS fallbacks,
        pg_catalog.count(*) FILTER (WHERE p.error_sqlstate IS NOT NULL) AS errors,
        pg_catalog.count(*) FILTER (
            WHERE p.role <> 'rule' AND p.latency_us <= v_settings.latency_target_ms * 1000) AS within_target,
        pg_catalog.count(p.latency_us) FILTER (WHERE p.role <> 'rule') AS timed,
        pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY p.latency_us)
            FILTER (WHERE p.role <> 'rule') / 1000 AS latency_p50,
        pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY p.latency_us)
            FILTER (WHERE p.role <> 'rule') / 1000 AS latency_p95,
        (
            SELECT pg_catalog.jsonb_object_agg(r.reason, r.events) FROM (
                SELECT q.fallback_reason AS reason, pg_catalog.count(*) AS events
                FROM public.ml_predictions AS q
                WHERE q.predicted_at > v_now - p_window AND q.source IN ('insert', 'update')
                    AND q.fallback_reason IS NOT NULL AND q.role <> 'shadow'
                GROUP BY q.fallback_reason
            ) AS r
        ) AS reasons
    INTO v_counts
    FROM public.ml_predictions AS p
    WHERE p.predicted_at > v_now - p_window AND p.source IN ('insert', 'update') AND p.role <> 'shadow';

    -- Counting stops at 10,000: beyond that the exact number changes nothing.
    SELECT pg_catalog.count(*) INTO v_waiting FROM (
        SELECT FROM public.pattern_events AS e
        WHERE e.model_version IS NULL AND e.ml_metadata #>> '{scoring,fallback_reason}' = 'bar_missing'
        LIMIT 10000
    ) AS waiting;
    SELECT pg_catalog.count(*) INTO v_drops
    FROM public.ml_log_drops AS d WHERE d.dropped_at > v_now - interval '24 hours';
    SELECT p.predicted_at INTO v_last FROM public.ml_predictions AS p ORDER BY p.predicted_at DESC LIMIT 1;
    SELECT pg_catalog.max(substring(pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM $$TO \('([^']+)'\)$$)::timestamptz)
    INTO v_partitions_until
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.ml_predictions'::regclass;

    v_fallback_rate := v_counts.fallbacks::double precision / nullif(v_counts.attempted, 0);
    v_error_rate := v_counts.errors::double precision / nullif(v_counts.attempted, 0);

    IF v_settings.enabled IS NULL THEN
        v_critical := v_critical || 'ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES'::text;
    ELSIF v_settings.enabled AND v_champion.version IS NULL THEN
        v_critical := v_critical || 'ML is enabled without a champion: promote a model with ml.promote()'::text;
    END IF;
    IF v_champion.version IS NOT NULL AND NOT v_model_loaded THEN
        v_critical := v_critical || pg_catalog.format(
            'the compiled functions of champion %s are missing: deploy it again or call ml.rollback()', v_champion.version);
    END IF;
    IF v_challenger IS NOT NULL AND v_trial.action = 'challenger_stop' THEN
        v_warnings := v_warnings || pg_catalog.format(
            'challenger %s was stopped at %s (%s): mend it and call ml.set_challenger(), or ml.withdraw_challenger()',
            v_challenger, v_trial.occurred_at, v_trial.reason);
    END IF;
    IF v_settings.enabled AND v_breaker IN ('open', 'half_open') THEN
        v_critical := v_critical || pg_catalog.format(
            'the circuit breaker is open since %s (%s): events keep their rule confidence until its probes are good',
            v_switch.occurred_at, v_switch.reason);
    END IF;
    IF v_partitions_until IS NULL OR v_partitions_until <= v_now THEN
        v_critical := v_critical
            || 'ml_predictions has no partition for now: call ml.create_prediction_partitions()'::text;
    ELSIF v_partitions_until < v_now + interval '14 days' THEN
        v_warnings := v_warnings || pg_catalog.format(
            'ml_predictions has partitions until %s only: call ml.create_prediction_partitions()', v_partitions_until);
    END IF;
    IF v_counts.attempted >= 20 AND v_fallback_rate > v_settings.fallback_warning_rate THEN
        v_warnings := v_warnings || pg_catalog.format(
            '%s %% of the events of the last %s fell back to rules', pg_catalog.round((v_fallback_rate * 100)::numeric, 1), p_window);
    END IF;
    IF v_counts.attempted >= 20 AND v_error_rate > v_settings.error_warning_rate THEN
        v_warnings := v_warnings || pg_catalog.format(
            '%s %% of the events of the last %s met an error', pg_catalog.round((v_error_rate * 100)::numeric, 1), p_window);
    END IF;
    IF v_drops > 0 THEN
        v_warnings := v_warnings || pg_catalog.format(
            '%s predictions of the last 24 hours were not logged: see ml_log_drops', v_drops);
    END IF;

    RETURN pg_catalog.jsonb_build_object(
        'status', CASE WHEN v_critical <> '{}' THEN 'critical' WHEN v_warnings <> '{}' THEN 'degraded' ELSE 'healthy' END,
        'model_loaded', v_model_loaded,
        'ml_enabled', coalesce(v_settings.enabled, false),
        'problems', pg_catalog.to_jsonb(v_critical || v_warnings),
        'champion', v_champion.version,
        'calibrator', v_champion.calibrator_version,
        'challenger', v_challenger,
        'canary_percent', CASE WHEN v_challenger IS NOT NULL THEN v_settings.canary_percent END,
        'circuit_breaker', pg_catalog.jsonb_build_object(
            'state', v_breaker,
            'opened_at', CASE WHEN v_breaker IN ('open', 'half_open') THEN v_switch.occurred_at END,
            'reason', CASE WHEN v_breaker IN ('open', 'half_open') THEN v_switch.reason END),
        'rollout_percent', v_settings.rollout_percent,
        'confidence_threshold', v_settings.confidence_threshold,
        'window', p_window::text,
        'predictions', v_counts.predictions,
        'attempted', v_counts.attempted,
        'fallback_rate', v_fallback_rate,
        'error_rate', v_error_rate,
        'fallback_reasons', coalesce(v_counts.reasons, '{}'),
        'sla_compliance', v_counts.within_target::double precision / nullif(v_counts.timed, 0),
        'inference_latency_p50_ms', v_counts.latency_p50,
        'inference_latency_p95_ms', v_counts.latency_p95,
        'events_waiting_for_bars', v_waiting,
        'log_drops_24h', v_drops,
        'last_prediction_at', v_last,
        'partitions_until', v_partitions_until,
        'checked_at', v_now
    );
END
$function$;
COMMENT ON FUNCTION public.ml_health IS
    'Health of scoring at a glance: status, what is live, rates of the last hour, and each problem in a sentence.';
REVOKE ALL ON FUNCTION public.ml_health FROM PUBLIC;
