-- Health of scoring at a glance: status, what is live, rates of the last hour, its components, each problem in a sentence.
-- Called by: applications, alerts. Calls: ml.live_metrics, ml.histogram_quantile, ml.feature_drift_score.
-- Reads: ml_settings, ml_aliases, ml.breaker_switch, ml.challenger_switch, ml_predictions, ml_log_drops, ml_jobs,
--        ml_alerts, ml_baselines, ml_archives, ml_backfill_errors, pattern_events, pg_catalog. Writes: nothing.

-- status: critical when events do not get what was promised to them, degraded when something is to be looked at, else
-- healthy. A component is ok, warning, critical, off (by decision) or unknown (nothing to judge it by). That no scheduler
-- ever ran or no baseline is set is said and is no problem. Figures are those of live scoring within p_window up to p_at, to
-- the minute (the hour beyond two days); percentiles come from histograms, are within 12 %, and are of warm calls, or of
-- first calls when there was no other. What is live, and jobs and alerts, are as of now.
CREATE OR REPLACE FUNCTION public.ml_health(p_window interval DEFAULT '1 hour', p_at timestamptz DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The bounds of partitions are read as text.
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
SET jit = off
AS $function$
DECLARE
    c_fewest CONSTANT integer := 20;
    c_fewest_failures CONSTANT integer := 5;
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_now CONSTANT timestamptz := coalesce(p_at, statement_timestamp());
    v_week_ago timestamptz;
    v_settings public.ml_settings;
    v_champion public.ml_aliases;
    v_challenger text;
    v_switch public.ml_deployments;
    v_trial public.ml_deployments;
    v_breaker text;
    v_model_loaded boolean;
    v_hourly boolean;
    v_counts record;
    v_waiting bigint;
    v_drops bigint;
    v_last timestamptz;
    v_partitions_until timestamptz;
    v_archive_waiting bigint;
    v_disabled_triggers text;
    v_tick public.ml_jobs;
    v_nightly public.ml_jobs;
    v_seen boolean;
    v_alerts bigint;
    v_evaluated_until timestamptz;
    v_backfill_errors bigint := 0;
    v_found text[];
    v_job record;
    v_baseline_set_at timestamptz;
    v_fallback_rate double precision;
    v_error_rate double precision;
    v_cache_hit_rate double precision;
    v_featureless bigint;
    v_p50 double precision;
    v_p95 double precision;
    v_p99 double precision;
    v_critical text[] := '{}'::text[];
    v_warnings text[] := '{}'::text[];
    v_problem text;
    v_all_failed boolean;
    v_components jsonb := '{}'::jsonb;
BEGIN
    IF p_window IS NULL OR p_window < '1 minute' OR p_window > '10 years' THEN
        RAISE EXCEPTION 'p_window is %: give a time between a minute and ten years, for example 1 hour',
            coalesce(p_window::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT v_now BETWEEN '1900-01-01 00:00:00+00' AND '9999-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'p_at is %: give a time between the years 1900 and 9999', p_at
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_week_ago := v_now - interval '7 days';

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
        SELECT count(*) = 2 FROM pg_proc AS p
        WHERE p.pronamespace = 'ml_generated'::regnamespace
            AND p.proname IN ('score_' || v_champion.version, 'features_' || v_champion.version)
    );

    v_hourly := p_window > '2 days';
    SELECT
        coalesce(sum(m.predictions), 0)::bigint AS predictions,
        coalesce(sum(m.attempted), 0)::bigint AS attempted,
        coalesce(sum(m.used), 0)::bigint AS used,
        coalesce(sum(m.fallbacks), 0)::bigint AS fallbacks,
        coalesce(sum(m.errors), 0)::bigint AS errors,
        coalesce(sum(m.rescorings), 0)::bigint AS rescorings,
        coalesce(sum(m.cache_hits), 0)::bigint AS cache_hits,
        coalesce(sum(m.timed), 0)::bigint AS timed,
        coalesce(sum(m.within_target), 0)::bigint AS within_target,
        coalesce(sum(m.cold_calls), 0)::bigint AS cold_calls,
        ml.merge_histograms(m.latency_histogram) AS warm,
        ml.merge_histograms(m.cold_latency_histogram) AS cold,
        coalesce(ml.merge_counts(m.reasons), '{}') AS reasons
    INTO v_counts
    FROM ml.live_metrics(
        date_bin(CASE WHEN v_hourly THEN interval '1 hour' ELSE interval '1 minute' END, v_now - p_window, v_origin),
        v_now + interval '1 microsecond', NULL, v_hourly) AS m;
    v_fallback_rate := v_counts.fallbacks::double precision / nullif(v_counts.attempted, 0);
    v_error_rate := v_counts.errors::double precision / nullif(v_counts.attempted, 0);
    v_cache_hit_rate := CASE WHEN v_counts.rescorings >= c_fewest
        THEN v_counts.cache_hits::double precision / v_counts.rescorings END;
    v_featureless := coalesce((v_counts.reasons ->> 'bar_missing')::bigint, 0)
        + coalesce((v_counts.reasons ->> 'timeframe_unknown')::bigint, 0);
    v_p50 := coalesce(ml.histogram_quantile(v_counts.warm, 0.5), ml.histogram_quantile(v_counts.cold, 0.5));
    v_p95 := coalesce(ml.histogram_quantile(v_counts.warm, 0.95), ml.histogram_quantile(v_counts.cold, 0.95));
    v_p99 := coalesce(ml.histogram_quantile(v_counts.warm, 0.99), ml.histogram_quantile(v_counts.cold, 0.99));

    -- Among the newest events without a score: with ML disabled for long there may be millions of them.
    SELECT count(*) INTO v_waiting FROM (
        SELECT e.ml_metadata FROM public.pattern_events AS e
        WHERE e.model_version IS NULL ORDER BY e.detected_at DESC, e.id DESC LIMIT 1000
    ) AS unscored
    WHERE unscored.ml_metadata #>> '{scoring,fallback_reason}' = 'bar_missing';
    -- Counting stops at 10,000: beyond that the exact number changes nothing.
    SELECT count(*) INTO v_drops
    FROM (SELECT d.dropped_at FROM public.ml_log_drops AS d ORDER BY d.id DESC LIMIT 10000) AS newest
    WHERE newest.dropped_at > v_now - interval '24 hours' AND newest.dropped_at <= v_now;
    -- A bound that is known to the planner leaves two partitions to plan for, and not every one.
    SELECT max(p.predicted_at) INTO v_last FROM public.ml_predictions AS p
    WHERE p.predicted_at > v_week_ago AND p.predicted_at <= v_now;
    IF v_last IS NULL THEN
        SELECT max(p.predicted_at) INTO v_last FROM public.ml_predictions AS p WHERE p.predicted_at <= v_now;
    END IF;
    -- Until the first time after v_now that no partition covers; null when none covers v_now.
    WITH partitions AS MATERIALIZED (
        SELECT
            substring(bound.text FROM $$FROM \('([^']+)'\)$$)::timestamptz AS lower,
            substring(bound.text FROM $$TO \('([^']+)'\)$$)::timestamptz AS upper
        FROM pg_inherits AS i
        INNER JOIN pg_class AS c ON c.oid = i.inhrelid
        CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS text OFFSET 0) AS bound
        WHERE i.inhparent = 'public.ml_predictions'::regclass
    )
    SELECT min(p.upper) INTO v_partitions_until
    FROM partitions AS p
    WHERE p.upper > v_now
        AND NOT EXISTS (SELECT FROM partitions AS next WHERE next.lower <= p.upper AND p.upper < next.upper)
        AND EXISTS (SELECT FROM partitions AS current WHERE current.lower <= v_now AND v_now < current.upper);
    -- Weeks that have left the log and wait for trainer export; a later revision makes their table.
    IF to_regclass('public.ml_archives') IS NOT NULL THEN
        SELECT count(*) INTO v_archive_waiting
        FROM pg_class AS c
        INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'ml_archive'
        WHERE c.relkind = 'r' AND NOT EXISTS (SELECT FROM public.ml_archives AS a WHERE a.partition = c.relname);
    END IF;
    SELECT string_agg(needed.name, ', ') INTO v_disabled_triggers
    FROM unnest('{pattern_events_10_score,pattern_events_90_log_insert,pattern_events_90_log_update}'::text[]) AS needed (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_trigger AS t
        WHERE t.tgrelid = 'public.pattern_events'::regclass AND t.tgname = needed.name AND t.tgenabled IN ('O', 'A')
    );
    SELECT * INTO v_tick FROM public.ml_jobs AS j WHERE j.job = 'tick';
    SELECT * INTO v_nightly FROM public.ml_jobs AS j WHERE j.job = 'nightly';
    v_seen := coalesce(v_tick.finished_at > statement_timestamp() - interval '10 minutes', false);
    SELECT count(*) FILTER (WHERE a.state = 'firing'), max(a.last_evaluated_at) INTO v_alerts, v_evaluated_until
    FROM public.ml_alerts AS a;
    -- Events that a backfill could not score; a later revision makes their table.
    IF to_regclass('public.ml_backfill_errors') IS NOT NULL THEN
        SELECT count(*) INTO v_backfill_errors FROM public.ml_backfill_errors AS e WHERE e.resolved_at IS NULL;
    END IF;
    SELECT max(b.created_at) INTO v_baseline_set_at FROM public.ml_baselines AS b WHERE b.model_version = v_champion.version;

    -- The model
    IF v_settings.enabled IS NULL THEN
        v_problem := 'ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES';
    ELSIF v_settings.enabled AND v_champion.version IS NULL THEN
        v_problem := 'ML is enabled without a champion: promote a model with ml.promote()';
    ELSIF v_champion.version IS NOT NULL AND NOT v_model_loaded THEN
        v_problem := format(
            'the compiled functions of champion %s are missing: deploy it again or call ml.rollback()', v_champion.version);
    END IF;
    IF v_problem IS NOT NULL THEN
        v_critical := v_critical || v_problem;
    END IF;
    v_components := v_components || jsonb_build_object('model', jsonb_build_object(
        'status', CASE WHEN v_problem IS NOT NULL THEN 'critical' WHEN v_champion.version IS NULL THEN 'off' ELSE 'ok' END,
        'detail', coalesce(v_problem, CASE
            WHEN v_champion.version IS NULL THEN 'no model is live, and ML is disabled'
            ELSE format('%s is loaded%s', v_champion.version, CASE WHEN NOT v_settings.enabled THEN ', and ML is disabled' ELSE '' END)
        END)));

    -- Inference
    v_problem := NULL;
    IF v_challenger IS NOT NULL AND v_trial.action = 'challenger_stop' THEN
        v_problem := format(
            'challenger %s was stopped at %s (%s): mend it and call ml.set_challenger(), or ml.withdraw_challenger()',
            v_challenger, v_trial.occurred_at, v_trial.reason);
        v_warnings := v_warnings || v_problem;
    END IF;
    IF v_counts.attempted >= c_fewest AND v_error_rate > v_settings.error_warning_rate THEN
        v_problem := format(
            '%s %% of the events of the last %s met an error: count error_sqlstate in ml_predictions, or call ml.rollback()',
            round((v_error_rate * 100)::numeric, 1), p_window);
        v_warnings := v_warnings || v_problem;
    END IF;
    IF v_counts.timed >= c_fewest AND v_p95 > v_settings.latency_target_ms THEN
        v_problem := format(
            'the 95th percentile of scoring latency within the last %s is %s ms, above its target of %s ms',
            p_window, round(v_p95::numeric, 1), v_settings.latency_target_ms);
        v_warnings := v_warnings || v_problem;
    END IF;
    IF v_backfill_errors > 0 THEN
        v_problem := format(
            '%s events met an error when ml.backfill() scored them: see ml_backfill_errors, mend the cause, call ml.backfill() again',
            v_backfill_errors);
        v_warnings := v_warnings || v_problem;
    END IF;
    v_all_failed := coalesce(
        v_settings.enabled AND v_counts.attempted >= c_fewest_failures AND v_counts.fallbacks = v_counts.attempted, false);
    IF v_all_failed THEN
        v_problem := format('none of the %s events of the last %s that ML was to score has its confidence (%s): %s',
            v_counts.attempted, p_window,
            (SELECT string_agg(given.reason || ' ' || given.n, ', ' ORDER BY given.reason)
             FROM jsonb_each_text(v_counts.reasons - '{disabled,not_in_rollout}'::text[]) AS given (reason, n)),
            CASE WHEN v_featureless = v_counts.attempted THEN 'load bars, then call ml.backfill()'
                ELSE 'mend the cause, or call ml.rollback()' END);
        v_critical := v_critical || v_problem;
    END IF;
    v_components := v_components || jsonb_build_object('inference', jsonb_build_object(
        'status', CASE
            WHEN v_all_failed THEN 'critical'
            WHEN v_problem IS NOT NULL THEN 'warning'
            WHEN v_settings.enabled IS NOT TRUE AND v_counts.attempted = 0 THEN 'off'
            WHEN v_counts.attempted = 0 THEN 'unknown' ELSE 'ok' END,
        'detail', coalesce(v_problem, CASE
            WHEN v_counts.attempted = 0 THEN format('no event was scored within the last %s', p_window)
            ELSE format('%s of %s events scored, half of them within %s ms', v_counts.used, v_counts.attempted,
                coalesce(round(v_p50::numeric, 2)::text, '?')) END)));

    -- Features
    v_problem := NULL;
    IF v_counts.attempted >= c_fewest AND v_featureless::double precision / v_counts.attempted > v_settings.fallback_warning_rate THEN
        v_problem := format(
            '%s of %s events of the last %s had no usable bars: load bars, then call ml.backfill()',
            v_featureless, v_counts.attempted, p_window);
        v_warnings := v_warnings || v_problem;
    END IF;
    v_components := v_components || jsonb_build_object('feature_builder', jsonb_build_object(
        'status', CASE WHEN v_problem IS NOT NULL THEN 'warning' WHEN v_counts.attempted = 0 THEN 'unknown' ELSE 'ok' END,
        'detail', coalesce(v_problem, CASE
            WHEN v_counts.attempted = 0 THEN format('no event wanted features within the last %s', p_window)
            ELSE format('%s of %s events had their bars', v_counts.attempted - v_featureless, v_counts.attempted) END)));

    -- The cache: scores kept by updates that change nothing
    v_problem := NULL;
    IF v_cache_hit_rate < v_settings.cache_hit_alert_rate THEN
        v_problem := format(
            'only %s %% of %s re-scorings of the last %s kept the stored score: look for UPDATEs that change inputs again and again',
            round((v_cache_hit_rate * 100)::numeric, 1), v_counts.rescorings, p_window);
        v_warnings := v_warnings || v_problem;
    END IF;
    v_components := v_components || jsonb_build_object('cache', jsonb_build_object(
        'status', CASE WHEN v_problem IS NOT NULL THEN 'warning' WHEN v_cache_hit_rate IS NULL THEN 'unknown' ELSE 'ok' END,
        'detail', coalesce(v_problem, CASE
            WHEN v_cache_hit_rate IS NULL THEN format('%s re-scorings within the last %s: a rate takes %s',
                v_counts.rescorings, p_window, c_fewest)
            ELSE format('%s %% of %s re-scorings kept the stored score; the target is %s %%',
                round((v_cache_hit_rate * 100)::numeric, 1), v_counts.rescorings, v_settings.cache_hit_target_rate * 100) END)));

    -- Falling back to rules
    v_problem := NULL;
    IF v_counts.attempted >= c_fewest AND v_fallback_rate > v_settings.fallback_warning_rate THEN
        v_problem := format(
            '%s %% of the events of the last %s fell back to rules: fallback_reasons says why',
            round((v_fallback_rate * 100)::numeric, 1), p_window);
        v_warnings := v_warnings || v_problem;
    END IF;
    IF v_settings.enabled AND v_breaker IN ('open', 'half_open') THEN
        v_problem := format(
            'the circuit breaker is open since %s (%s): events keep their rule confidence until its probes are good',
            v_switch.occurred_at, v_switch.reason);
        v_critical := v_critical || v_problem;
    END IF;
    v_components := v_components || jsonb_build_object('fallback_mechanism', jsonb_build_object(
        'status', CASE
            WHEN v_settings.enabled AND v_breaker IN ('open', 'half_open') THEN 'critical'
            WHEN v_problem IS NOT NULL THEN 'warning' ELSE 'ok' END,
        'detail', coalesce(v_problem, format('%s of %s events fell back to rules; the circuit breaker is %s',
            v_counts.fallbacks, v_counts.attempted, v_breaker))));

    -- The log
    v_problem := NULL;
    IF v_disabled_triggers IS NOT NULL THEN
        v_problem := format(
            'triggers of pattern_events are missing or disabled (%s): ALTER TABLE pattern_events ENABLE TRIGGER ..., then call ml.backfill()',
            v_disabled_triggers);
        v_warnings := v_warnings || v_problem;
    END IF;
    IF v_drops > 0 THEN
        v_problem := format('%s predictions of the last 24 hours were not logged: see ml_log_drops', v_drops);
        v_warnings := v_warnings || v_problem;
    END IF;
    IF v_partitions_until IS NULL THEN
        v_problem := 'ml_predictions has no partition for now: call ml.create_prediction_partitions()';
        v_critical := v_critical || v_problem;
    ELSIF v_partitions_until < v_now + interval '14 days' THEN
        v_problem := format(
            'ml_predictions has partitions until %s only: call ml.create_prediction_partitions()', v_partitions_until);
        v_warnings := v_warnings || v_problem;
    END IF;
    v_components := v_components || jsonb_build_object('log', jsonb_build_object(
        'status', CASE
            WHEN v_partitions_until IS NULL THEN 'critical' WHEN v_problem IS NOT NULL THEN 'warning' ELSE 'ok' END,
        'detail', coalesce(v_problem, format('%s; partitions until %s',
            coalesce('last prediction at ' || v_last, 'no prediction yet'), v_partitions_until))));

    -- The scheduler: everything is right without one, only slower; one that ran and has stopped is missed
    v_found := '{}'::text[];
    IF v_tick.finished_at IS NOT NULL AND NOT v_seen THEN
        v_found := v_found || format(
            'ml.tick() last ran at %s: start what calls it every minute again (pg_cron, cron or a systemd timer)',
            v_tick.finished_at);
    END IF;
    IF v_nightly.finished_at <= statement_timestamp() - interval '26 hours' THEN
        v_found := v_found || format(
            'ml.nightly() last ran at %s: start what calls it every night again, and run trainer nightly now',
            v_nightly.finished_at);
    END IF;
    FOR v_job IN
        SELECT
            CASE j.job WHEN 'retention' THEN 'ml.apply_retention()' ELSE 'ml.' || j.job || '()' END AS name,
            j.last_error
        FROM public.ml_jobs AS j
        WHERE j.job IN ('tick', 'nightly', 'retention') AND j.last_error IS NOT NULL
        ORDER BY j.job
    LOOP
        v_found := v_found || format('the last %s met an error: %s', v_job.name, left(v_job.last_error, 500));
    END LOOP;
    IF v_evaluated_until > clock_timestamp() + interval '1 minute' THEN
        v_found := v_found || format(
            'alerts were evaluated for %s, which has not come: the next ml.tick() for a time that has goes on from there',
            v_evaluated_until);
    END IF;
    v_warnings := v_warnings || v_found;
    v_components := v_components || jsonb_build_object('scheduler', jsonb_build_object(
        'status', CASE WHEN v_found <> '{}' THEN 'warning' WHEN v_seen THEN 'ok' ELSE 'unknown' END,
        'detail', CASE
            WHEN v_found <> '{}' THEN array_to_string(v_found, '; ')
            WHEN v_seen THEN format('last run at %s', v_tick.finished_at)
            ELSE 'none has run: roll-ups, alerts and drift wait for ml.tick() and ml.nightly()'
        END));

    RETURN jsonb_build_object(
        'status', CASE WHEN v_critical <> '{}' THEN 'critical' WHEN v_warnings <> '{}' THEN 'degraded' ELSE 'healthy' END,
        'model_loaded', v_model_loaded,
        'ml_enabled', coalesce(v_settings.enabled, false),
        'problems', to_jsonb(v_critical || v_warnings),
        'components', v_components,
        'champion', v_champion.version,
        'model_version', v_champion.version,
        'calibrator', v_champion.calibrator_version,
        'challenger', v_challenger,
        'canary_percent', CASE WHEN v_challenger IS NOT NULL THEN v_settings.canary_percent END,
        'circuit_breaker', jsonb_build_object(
            'state', v_breaker,
            'opened_at', CASE WHEN v_breaker IN ('open', 'half_open') THEN v_switch.occurred_at END,
            'reason', CASE WHEN v_breaker IN ('open', 'half_open') THEN v_switch.reason END),
        'rollout_percent', v_settings.rollout_percent,
        'confidence_threshold', v_settings.confidence_threshold,
        'window', p_window::text,
        'predictions', v_counts.predictions,
        'attempted', v_counts.attempted,
        'ml_usage_rate', v_counts.used::double precision / nullif(v_counts.predictions, 0),
        'fallback_rate', v_fallback_rate,
        'error_rate', v_error_rate,
        'cache_hit_rate', v_cache_hit_rate,
        'fallback_reasons', v_counts.reasons,
        'sla_compliance', v_counts.within_target::double precision / nullif(v_counts.timed, 0),
        'inference_latency_p50_ms', v_p50,
        'inference_latency_p95_ms', v_p95,
        'inference_latency_p99_ms', v_p99,
        'cold_calls', v_counts.cold_calls,
        'events_waiting_for_bars', v_waiting,
        'log_drops_24h', v_drops,
        'last_prediction_at', v_last,
        'partitions_until', v_partitions_until,
        'archive_waiting', v_archive_waiting,
        'open_backfill_errors', v_backfill_errors,
        'baseline_set_at', v_baseline_set_at,
        'feature_drift_score', ml.feature_drift_score(v_now),
        'alerts_firing', CASE WHEN v_seen THEN v_alerts END,
        'scheduler', jsonb_build_object(
            'seen', v_seen, 'last_tick_at', v_tick.finished_at, 'last_nightly_at', v_nightly.finished_at),
        'checked_at', v_now
    );
END
$function$;
COMMENT ON FUNCTION public.ml_health IS
    'Health of scoring at a glance: status, what is live, rates of the last hour, its components, each problem in a sentence.';
REVOKE ALL ON FUNCTION public.ml_health FROM PUBLIC;
