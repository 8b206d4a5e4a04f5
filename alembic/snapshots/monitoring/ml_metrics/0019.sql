-- Figures of live scoring within a window, as a whole and in buckets, and which of their targets they meet.
-- Called by: applications. Calls: ml.live_metrics, ml.histogram_quantile, ml.merge_histograms.
-- Reads: ml_settings, ml_jobs, ml_alert_transitions, ml_alerts, ml_alert_rules, ml_predictions. Writes: nothing.

-- current is the window as a whole, history one entry per bucket, oldest first, also for buckets without predictions.
-- Buckets are whole minutes, or whole hours when the window is longer than two days, so there may be fewer than
-- p_buckets; the last one is not over yet. Latencies are in milliseconds and are those of warm calls, or of first calls
-- when there was no other, but for the mean, which is of all; percentiles come from histograms and are within 12 %.
-- ml_usage_rate = used / predictions; fallback_rate and error_rate are shares of the attempted ones (enabled, in the
-- rollout); cache_hit_rate is that of re-scorings by UPDATE, null below 20; sla_compliance is the share of calls within
-- ml_settings.latency_target_ms. A target says what the whole window shows (met, null: nothing to judge by) and how
-- many of the buckets with 20 predictions or more meet it.
CREATE OR REPLACE FUNCTION public.ml_metrics(
    p_window interval DEFAULT '1 hour', p_buckets integer DEFAULT 60, p_at timestamptz DEFAULT NULL
)
RETURNS jsonb
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- What an interval of months is does not depend on the session.
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
SET jit = off
AS $function$
DECLARE
    c_fewest CONSTANT integer := 20;
    v_now CONSTANT timestamptz := coalesce(p_at, statement_timestamp());
    v_step interval;
    v_width interval;
    v_from timestamptz;
    v_to timestamptz;
    v_buckets integer;
    v_current jsonb;
    v_history jsonb;
    v_targets jsonb;
    v_critical bigint;
BEGIN
    IF p_window IS NULL OR p_window < '1 minute' OR p_window > '10 years' THEN
        RAISE EXCEPTION 'p_window is %: give a time between a minute and ten years, for example 1 hour',
            coalesce(p_window::text, 'NULL') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_buckets IS NULL OR p_buckets NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'p_buckets is %: give a number from 1 to 1000', coalesce(p_buckets::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT v_now BETWEEN '1900-01-01 00:00:00+00' AND '9999-01-01 00:00:00+00' THEN
        RAISE EXCEPTION 'p_at is %: give a time between the years 1900 and 9999', p_at
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    v_step := CASE WHEN p_window > '2 days' THEN interval '1 hour' ELSE interval '1 minute' END;
    -- The first step that is not over at p_at ends the history; what a month is long is decided from there.
    v_to := date_bin(v_step, v_now + v_step - interval '1 microsecond', '2000-01-01 00:00:00+00');
    v_buckets := ceil(extract(epoch FROM v_to - (v_to - p_window)) / extract(epoch FROM v_step));
    v_width := ceil(v_buckets::numeric / p_buckets)::integer * v_step;
    v_buckets := ceil(v_buckets * extract(epoch FROM v_step) / extract(epoch FROM v_width));
    v_from := v_to - v_buckets * v_width;

    WITH metrics AS (
        SELECT m.* FROM ml.live_metrics(v_from, least(v_to, v_now + interval '1 microsecond'), v_width, v_step = '1 hour') AS m
    ),
    summed AS (
        SELECT
            NULL::timestamptz AS bucket,
            coalesce(sum(m.predictions), 0)::bigint AS predictions,
            coalesce(sum(m.attempted), 0)::bigint AS attempted,
            coalesce(sum(m.used), 0)::bigint AS used,
            coalesce(sum(m.fallbacks), 0)::bigint AS fallbacks,
            coalesce(sum(m.errors), 0)::bigint AS errors,
            coalesce(sum(m.rescorings), 0)::bigint AS rescorings,
            coalesce(sum(m.cache_hits), 0)::bigint AS cache_hits,
            coalesce(sum(m.timed), 0)::bigint AS timed,
            coalesce(sum(m.within_target), 0)::bigint AS within_target,
            coalesce(sum(m.latency_sum_us), 0)::bigint AS latency_sum_us,
            coalesce(sum(m.cold_calls), 0)::bigint AS cold_calls,
            ml.merge_histograms(m.latency_histogram) AS warm,
            ml.merge_histograms(m.cold_latency_histogram) AS cold
        FROM metrics AS m
        UNION ALL
        SELECT
            v_from + place * v_width,
            coalesce(m.predictions, 0), coalesce(m.attempted, 0), coalesce(m.used, 0), coalesce(m.fallbacks, 0),
            coalesce(m.errors, 0), coalesce(m.rescorings, 0), coalesce(m.cache_hits, 0), coalesce(m.timed, 0),
            coalesce(m.within_target, 0), coalesce(m.latency_sum_us, 0), coalesce(m.cold_calls, 0),
            m.latency_histogram, m.cold_latency_histogram
        FROM generate_series(0, v_buckets - 1) AS place
        LEFT JOIN metrics AS m ON m.bucket = v_from + place * v_width
    ),
    figures AS (
        SELECT
            s.bucket,
            jsonb_build_object(
                'predictions', s.predictions,
                'attempted', s.attempted,
                'used', s.used,
                'inference_latency_p50',
                coalesce(ml.histogram_quantile(s.warm, 0.5), ml.histogram_quantile(s.cold, 0.5)),
                'inference_latency_p95',
                coalesce(ml.histogram_quantile(s.warm, 0.95), ml.histogram_quantile(s.cold, 0.95)),
                'inference_latency_p99',
                coalesce(ml.histogram_quantile(s.warm, 0.99), ml.histogram_quantile(s.cold, 0.99)),
                'inference_latency_mean', s.latency_sum_us::double precision / nullif(s.timed, 0) / 1000,
                'cold_calls', s.cold_calls,
                'sla_compliance', s.within_target::double precision / nullif(s.timed, 0),
                'cache_hit_rate', CASE WHEN s.rescorings >= c_fewest
                    THEN s.cache_hits::double precision / s.rescorings END,
                'rescorings', s.rescorings,
                'ml_usage_rate', s.used::double precision / nullif(s.predictions, 0),
                'fallback_rate', s.fallbacks::double precision / nullif(s.attempted, 0),
                'error_rate', s.errors::double precision / nullif(s.attempted, 0)
            ) AS entry
        FROM summed AS s
    )
    SELECT
        (array_agg(f.entry) FILTER (WHERE f.bucket IS NULL))[1],
        jsonb_agg(jsonb_build_object(
            'time', to_char(f.bucket, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) || f.entry ORDER BY f.bucket)
            FILTER (WHERE f.bucket IS NOT NULL)
    INTO v_current, v_history
    FROM figures AS f;

    SELECT jsonb_object_agg(target.name, jsonb_build_object(
        'target', target.bound,
        'comparison', target.comparison,
        'value', judged.value,
        'met', judged.met,
        'buckets_judged', judged.buckets,
        'buckets_met', judged.buckets_met))
    INTO v_targets
    FROM public.ml_settings AS s
    CROSS JOIN LATERAL (VALUES
        ('inference_latency_p95', s.latency_target_ms, '<='),
        ('fallback_rate', s.fallback_warning_rate, '<='),
        ('error_rate', s.error_warning_rate, '<='),
        ('cache_hit_rate', s.cache_hit_target_rate, '>=')
    ) AS target (name, bound, comparison)
    CROSS JOIN LATERAL (
        SELECT
            max(entry.value) FILTER (WHERE entry.place = 0) AS value,
            bool_and(entry.met) FILTER (WHERE entry.place = 0) AS met,
            count(entry.met) FILTER (WHERE entry.place > 0 AND entry.predictions >= c_fewest) AS buckets,
            count(*) FILTER (WHERE entry.place > 0 AND entry.predictions >= c_fewest AND entry.met) AS buckets_met
        FROM (
            SELECT
                each.place,
                (each.entry ->> 'predictions')::bigint AS predictions,
                (each.entry ->> target.name)::double precision AS value,
                CASE target.comparison
                    WHEN '<=' THEN (each.entry ->> target.name)::double precision <= target.bound
                    ELSE (each.entry ->> target.name)::double precision >= target.bound
                END AS met
            FROM jsonb_array_elements(jsonb_build_array(v_current) || v_history) WITH ORDINALITY AS given (entry, number)
            CROSS JOIN LATERAL (SELECT given.number - 1 AS place, given.entry) AS each
        ) AS entry
    ) AS judged;

    -- Known only where alerts are evaluated.
    IF EXISTS (
        SELECT FROM public.ml_jobs AS j
        WHERE j.job = 'tick' AND j.finished_at > statement_timestamp() - interval '10 minutes'
    ) THEN
        SELECT count(*) INTO v_critical FROM (
            SELECT t.rule, t.key FROM public.ml_alert_transitions AS t
            WHERE t.to_state = 'firing' AND t.severity = 'critical' AND t.occurred_at >= v_from AND t.occurred_at <= v_now
            UNION
            SELECT a.rule, a.key FROM public.ml_alerts AS a
            INNER JOIN public.ml_alert_rules AS r ON r.rule = a.rule AND r.severity = 'critical'
            WHERE a.state = 'firing' AND a.firing_since <= v_now
        ) AS critical;
    END IF;
    v_targets := coalesce(v_targets, '{}') || jsonb_build_object('critical_alerts', jsonb_build_object(
        'target', 0, 'comparison', '<=', 'value', v_critical, 'met', v_critical = 0));

    RETURN jsonb_build_object(
        'current', v_current,
        'history', v_history,
        'targets', v_targets,
        'unit', 'ms',
        'window', p_window::text,
        'buckets', v_buckets,
        'bucket_seconds', extract(epoch FROM v_width)::bigint,
        'from', v_from,
        'to', v_to,
        'checked_at', v_now
    );
END
$function$;
COMMENT ON FUNCTION public.ml_metrics IS
    'Figures of live scoring within a window, as a whole and in buckets, and which of their targets they meet.';
REVOKE ALL ON FUNCTION public.ml_metrics FROM PUBLIC;
