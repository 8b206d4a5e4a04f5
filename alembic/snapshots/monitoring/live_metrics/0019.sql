-- Counts and latency histograms of live scoring from p_from up to p_to, in buckets of p_width that start at p_from.
-- Called by: ml_health, ml_metrics. Calls: ml.metrics_by_minute, ml.metrics_by_hour, ml.merge_histograms, ml.merge_counts,
--            ml.count_bins, ml.latency_bucket.
-- Reads: ml_jobs, ml_settings, ml_predictions. Writes: nothing.

-- Live: inserted and updated events, scores that were acted on. Buckets without predictions have no row; without p_width
-- there is one bucket. With p_hourly the roll-ups by hour are read, and p_from has to be a full hour, else those by minute
-- and p_from has to be a full minute. What is rolled up is read; the rest is counted from the log by one pass that
-- leaves the confidences out.
CREATE OR REPLACE FUNCTION ml.live_metrics(
    p_from timestamptz, p_to timestamptz, p_width interval DEFAULT NULL, p_hourly boolean DEFAULT false
)
RETURNS TABLE (
    bucket timestamptz,
    predictions bigint,
    attempted bigint,
    used bigint,
    fallbacks bigint,
    errors bigint,
    rescorings bigint,
    cache_hits bigint,
    timed bigint,
    within_target bigint,
    latency_sum_us bigint,
    cold_calls bigint,
    latency_histogram bigint [],
    cold_latency_histogram bigint [],
    reasons jsonb
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
#variable_conflict use_column
DECLARE
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_width CONSTANT interval := coalesce(p_width, p_to - p_from);
    v_target_us double precision;
    v_minutes_from timestamptz := p_from;
    v_log_from timestamptz;
BEGIN
    SELECT s.latency_target_ms * 1000 INTO v_target_us FROM public.ml_settings AS s;
    -- A clock that was ahead may have stored minutes that are not over.
    SELECT least(greatest(j.rolled_up_until, p_from), p_to, date_bin('1 minute', statement_timestamp(), v_origin))
    INTO v_log_from FROM public.ml_jobs AS j WHERE j.job = 'roll_up' AND j.rolled_up_until > p_from;
    v_log_from := coalesce(v_log_from, p_from);
    IF p_hourly THEN
        v_minutes_from := greatest(date_bin('1 hour', v_log_from, v_origin), p_from);
    END IF;

    RETURN QUERY
    WITH parts AS (
        SELECT
            date_bin(v_width, h.bucket, p_from) AS bucket, h.predictions, h.attempted, h.used, h.fallbacks, h.errors,
            h.rescorings, h.cache_hits, h.timed, h.within_target, h.latency_sum_us, h.cold_calls, h.latency_histogram,
            h.cold_latency_histogram, h.reasons
        FROM ml.metrics_by_hour(p_from, v_minutes_from) AS h
        WHERE v_minutes_from > p_from AND h.source IN ('insert', 'update') AND h.role <> 'shadow'
        UNION ALL
        SELECT
            date_bin(v_width, m.bucket, p_from), m.predictions, m.attempted, m.used, m.fallbacks, m.errors,
            m.rescorings, m.cache_hits, m.timed, m.within_target, m.latency_sum_us, m.cold_calls, m.latency_histogram,
            m.cold_latency_histogram, m.reasons
        FROM ml.metrics_by_minute(v_minutes_from, v_log_from) AS m
        WHERE v_log_from > v_minutes_from AND m.source IN ('insert', 'update') AND m.role <> 'shadow'
        UNION ALL
        SELECT
            logged.bucket, logged.predictions, logged.attempted, logged.used, logged.fallbacks, logged.errors,
            logged.rescorings, logged.cache_hits, logged.timed, logged.within_target, logged.latency_sum_us,
            logged.cold_calls, ml.count_bins(logged.latency_buckets, 74), ml.count_bins(logged.cold_latency_buckets, 74),
            coalesce((
                SELECT jsonb_object_agg(counted.reason, counted.predictions)
                FROM (
                    SELECT given.reason, count(*) AS predictions
                    FROM unnest(logged.reasons) AS given (reason) GROUP BY given.reason
                ) AS counted
            ), '{}')
        FROM (
            SELECT
                date_bin(v_width, p.predicted_at, p_from) AS bucket,
                count(*) AS predictions,
                count(*) FILTER (WHERE p.role <> 'rule') AS attempted,
                count(*) FILTER (WHERE p.role <> 'rule' AND p.fallback_reason IS NULL) AS used,
                count(*) FILTER (WHERE p.role <> 'rule' AND p.fallback_reason IS NOT NULL) AS fallbacks,
                count(p.error_sqlstate) AS errors,
                count(*) FILTER (WHERE p.role <> 'rule' AND p.source = 'update') AS rescorings,
                count(*) FILTER (WHERE p.role <> 'rule' AND p.source = 'update' AND p.cache_hit) AS cache_hits,
                count(p.latency_us) FILTER (WHERE p.role <> 'rule') AS timed,
                count(*) FILTER (WHERE p.role <> 'rule' AND p.latency_us <= v_target_us) AS within_target,
                coalesce(sum(p.latency_us) FILTER (WHERE p.role <> 'rule'), 0)::bigint AS latency_sum_us,
                count(p.latency_us) FILTER (WHERE p.role <> 'rule' AND p.cold) AS cold_calls,
                array_agg(ml.latency_bucket(p.latency_us))
                    FILTER (WHERE p.role <> 'rule' AND NOT p.cold AND p.latency_us IS NOT NULL) AS latency_buckets,
                array_agg(ml.latency_bucket(p.latency_us))
                    FILTER (WHERE p.role <> 'rule' AND p.cold AND p.latency_us IS NOT NULL) AS cold_latency_buckets,
                array_agg(p.fallback_reason) FILTER (WHERE p.fallback_reason IS NOT NULL) AS reasons
            FROM public.ml_predictions AS p
            WHERE p.predicted_at >= v_log_from AND p.predicted_at < p_to
                AND p.source IN ('insert', 'update') AND p.role <> 'shadow'
            GROUP BY 1
        ) AS logged
    )
    SELECT
        part.bucket,
        sum(part.predictions)::bigint,
        sum(part.attempted)::bigint,
        sum(part.used)::bigint,
        sum(part.fallbacks)::bigint,
        sum(part.errors)::bigint,
        sum(part.rescorings)::bigint,
        sum(part.cache_hits)::bigint,
        sum(part.timed)::bigint,
        sum(part.within_target)::bigint,
        sum(part.latency_sum_us)::bigint,
        sum(part.cold_calls)::bigint,
        ml.merge_histograms(part.latency_histogram),
        ml.merge_histograms(part.cold_latency_histogram),
        ml.merge_counts(part.reasons)
    FROM parts AS part
    GROUP BY part.bucket;
END
$function$;
COMMENT ON FUNCTION ml.live_metrics IS
    'Counts and latency histograms of live scoring from p_from up to p_to, in buckets of p_width that start at p_from.';
REVOKE ALL ON FUNCTION ml.live_metrics FROM PUBLIC;
