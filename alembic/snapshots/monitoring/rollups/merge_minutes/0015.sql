-- Roll-ups by hour, merged from those by minute: the minutes that start from p_from up to p_to.
-- Called by: ml.metrics_by_hour, ml.roll_up, ml.recompute_metrics.
-- Calls: ml.metrics_by_minute, ml.merge_histograms, ml.merge_counts. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.merge_minutes(p_from timestamptz, p_to timestamptz)
RETURNS SETOF public.ml_metrics_1h
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    SELECT
        date_bin('1 hour', m.bucket, '2000-01-01 00:00:00+00') AS hour,
        m.source,
        m.role,
        m.model_version,
        sum(m.predictions)::bigint,
        sum(m.attempted)::bigint,
        sum(m.used)::bigint,
        sum(m.fallbacks)::bigint,
        sum(m.errors)::bigint,
        sum(m.rescorings)::bigint,
        sum(m.cache_hits)::bigint,
        sum(m.timed)::bigint,
        sum(m.within_target)::bigint,
        sum(m.latency_sum_us)::bigint,
        sum(m.cold_calls)::bigint,
        ml.merge_histograms(m.latency_histogram),
        ml.merge_histograms(m.cold_latency_histogram),
        ml.merge_counts(m.reasons),
        sum(m.ml_confidence_count)::bigint,
        sum(m.ml_confidence_sum),
        sum(m.rule_confidence_count)::bigint,
        sum(m.rule_confidence_sum),
        sum(m.blended_confidence_count)::bigint,
        sum(m.blended_confidence_sum),
        ml.merge_histograms(m.ml_confidence_histogram),
        ml.merge_histograms(m.rule_confidence_histogram),
        ml.merge_histograms(m.blended_confidence_histogram)
    FROM ml.metrics_by_minute(p_from, p_to) AS m
    GROUP BY hour, m.source, m.role, m.model_version
$function$;
COMMENT ON FUNCTION ml.merge_minutes IS
    'Roll-ups by hour, merged from those by minute: the minutes that start from p_from up to p_to.';
REVOKE ALL ON FUNCTION ml.merge_minutes FROM PUBLIC;
