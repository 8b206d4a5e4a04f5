-- What rules about rates and latency see in each minute that ends after p_from and up to p_to.
-- Called by: ml.alert_values, ml.compute_alert_states. Calls: ml.metrics_by_minute, ml.merge_histograms,
-- ml.histogram_quantile, ml.wilson_interval, ml.normal_quantile. Reads: ml_alert_rules, ml_settings. Writes: nothing.

-- bound is the end of a 95 % interval, which must be beyond the threshold too: of a share, Wilson's; of the 95th
-- percentile, the quantile at the fraction where Wilson's interval of the share of slower calls has its end at 5 %.
-- NULL when the value is not beyond the threshold itself, or there are fewer observations than the rule asks for.
CREATE OR REPLACE FUNCTION ml.minute_alert_values(p_from timestamptz, p_to timestamptz)
RETURNS TABLE (
    evaluated_at timestamptz, rule text, value double precision, bound double precision, threshold double precision,
    observations bigint, breached boolean
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $function$
DECLARE
    v_z CONSTANT double precision := ml.normal_quantile(0.975);
    v_settings CONSTANT jsonb := (SELECT to_jsonb(s) FROM public.ml_settings AS s);
    v_longest interval;
BEGIN
    SELECT max(r.evaluation_window) INTO v_longest
    FROM public.ml_alert_rules AS r
    WHERE r.enabled AND r.metric IN ('latency_p95_ms', 'fallback_rate', 'error_rate', 'cache_hit_rate');
    IF v_longest IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH minutes AS MATERIALIZED (
        SELECT
            m.bucket,
            sum(m.attempted)::bigint AS attempted,
            sum(m.fallbacks)::bigint AS fallbacks,
            sum(m.errors)::bigint AS errors,
            sum(m.rescorings)::bigint AS rescorings,
            sum(m.cache_hits)::bigint AS cache_hits,
            ml.merge_histograms(m.latency_histogram) AS latencies
        -- The minute that starts at p_from ends after it.
        FROM ml.metrics_by_minute(p_from + interval '1 minute' - v_longest, p_to) AS m
        WHERE m.source IN ('insert', 'update') AND m.role IN ('champion', 'challenger')
        GROUP BY m.bucket
    ),
    windows AS (
        SELECT
            ending.at,
            r.rule,
            r.metric,
            r.comparison,
            r.minimum_count,
            coalesce(r.threshold, (v_settings ->> r.threshold_setting)::double precision) AS threshold,
            sum(CASE r.metric
                WHEN 'fallback_rate' THEN m.fallbacks WHEN 'error_rate' THEN m.errors WHEN 'cache_hit_rate' THEN m.cache_hits
            END)::bigint AS successes,
            sum(CASE WHEN r.metric = 'cache_hit_rate' THEN m.rescorings ELSE m.attempted END)::bigint AS trials,
            ml.merge_histograms(m.latencies) FILTER (WHERE r.metric = 'latency_p95_ms') AS latencies
        FROM generate_series(p_from + interval '1 minute', p_to, interval '1 minute') AS ending (at)
        CROSS JOIN public.ml_alert_rules AS r
        LEFT JOIN minutes AS m ON m.bucket >= ending.at - r.evaluation_window AND m.bucket < ending.at
        WHERE r.enabled AND r.metric IN ('latency_p95_ms', 'fallback_rate', 'error_rate', 'cache_hit_rate')
        GROUP BY ending.at, r.rule
    )
    SELECT
        m.at, m.rule, m.value, interval_end.bound, m.threshold, m.n,
        CASE WHEN m.n >= m.minimum_count AND m.threshold IS NOT NULL THEN
            coalesce(CASE m.comparison WHEN '>' THEN interval_end.bound > m.threshold ELSE interval_end.bound < m.threshold END, false)
        END
    FROM (
        SELECT
            w.*,
            calls.n,
            CASE
                WHEN w.metric = 'latency_p95_ms' THEN ml.histogram_quantile(w.latencies, 0.95)
                ELSE w.successes::double precision / nullif(w.trials, 0)
            END AS value
        FROM windows AS w
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN w.metric = 'latency_p95_ms'
                    THEN (SELECT coalesce(sum(bucket.n), 0) FROM unnest(w.latencies) AS bucket (n))
                ELSE coalesce(w.trials, 0)
            END::bigint AS n
        ) AS calls
    ) AS m
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN m.n < m.minimum_count OR (CASE m.comparison WHEN '>' THEN m.value > m.threshold ELSE m.value < m.threshold END) IS NOT TRUE
                THEN NULL
            WHEN m.metric = 'latency_p95_ms' THEN ml.histogram_quantile(m.latencies, least(greatest(
                0.95 + CASE m.comparison WHEN '>' THEN -1 ELSE 1 END * v_z * sqrt(0.05 * 0.95 / m.n), 0), 1))
            ELSE (
                SELECT CASE m.comparison WHEN '>' THEN i.low ELSE i.high END
                FROM ml.wilson_interval(m.successes, m.trials) AS i
            )
        END AS bound
    ) AS interval_end;
END
$function$;
COMMENT ON FUNCTION ml.minute_alert_values IS
    'What rules about rates and latency see in each minute that ends after p_from and up to p_to.';
REVOKE ALL ON FUNCTION ml.minute_alert_values FROM PUBLIC;
