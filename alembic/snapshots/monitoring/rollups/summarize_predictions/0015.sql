-- Counts and histograms of the logged predictions from p_from up to p_to, by buckets of p_width, source, role and version.
-- Called by: ml.metrics_by_minute, ml.metrics_by_hour, ml.roll_up, ml.recompute_metrics.
-- Calls: ml.latency_bucket, ml.confidence_bin, ml.count_bins. Reads: ml_predictions, ml_models, ml_settings.
-- Writes: nothing.
--
-- The one definition of what a row of ml_metrics_1m and ml_metrics_1h is. Confidences that are none (NULL, NaN, beyond
-- 0 to 1) are left out of their counts, sums and histograms, latencies below 0 count as not timed. Buckets without
-- predictions have no row. Whoever may log predictions from elsewhere may name any version in them: those that are not
-- in ml_models are counted together, as unregistered.

CREATE OR REPLACE FUNCTION ml.summarize_predictions(
    p_from timestamptz, p_to timestamptz, p_width interval DEFAULT '1 minute'
)
RETURNS SETOF public.ml_metrics_1m
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
-- Sorting what one call summarizes on disk takes twice the time.
SET work_mem = '64MB'
AS $function$
    WITH logged AS (
        SELECT
            date_bin(p_width, p.predicted_at, '2000-01-01 00:00:00+00') AS bucket,
            p.source,
            p.role,
            CASE WHEN p.model_version IS NULL THEN '' ELSE coalesce(m.version, 'unregistered') END AS model_version,
            p.role <> 'rule' AS attempted,
            p.source = 'update' AND p.role <> 'rule' AS rescored,
            CASE WHEN p.role <> 'rule' AND p.latency_us >= 0 THEN p.latency_us END AS latency_us,
            p.cold,
            p.cache_hit,
            p.fallback_reason,
            p.error_sqlstate,
            p.ml_confidence,
            p.rule_confidence,
            p.blended_confidence,
            ml.confidence_bin(p.ml_confidence) AS ml_bin,
            ml.confidence_bin(p.rule_confidence) AS rule_bin,
            ml.confidence_bin(p.blended_confidence) AS blended_bin
        FROM public.ml_predictions AS p
        LEFT JOIN public.ml_models AS m ON m.version = p.model_version
        WHERE p.predicted_at >= p_from AND p.predicted_at < p_to
    ),
    grouped AS (
        SELECT
            l.bucket,
            l.source,
            l.role,
            l.model_version,
            count(*) AS predictions,
            count(*) FILTER (WHERE l.attempted) AS attempted,
            count(*) FILTER (WHERE l.attempted AND l.fallback_reason IS NULL) AS used,
            count(*) FILTER (WHERE l.attempted AND l.fallback_reason IS NOT NULL) AS fallbacks,
            count(l.error_sqlstate) AS errors,
            count(*) FILTER (WHERE l.rescored) AS rescorings,
            count(*) FILTER (WHERE l.rescored AND l.cache_hit) AS cache_hits,
            count(l.latency_us) AS timed,
            count(*) FILTER (
                WHERE l.latency_us <= (SELECT s.latency_target_ms * 1000 FROM public.ml_settings AS s)
            ) AS within_target,
            coalesce(sum(l.latency_us), 0) AS latency_sum_us,
            count(l.latency_us) FILTER (WHERE l.cold) AS cold_calls,
            array_agg(ml.latency_bucket(l.latency_us))
                FILTER (WHERE l.latency_us IS NOT NULL AND NOT l.cold) AS latency_buckets,
            array_agg(ml.latency_bucket(l.latency_us))
                FILTER (WHERE l.latency_us IS NOT NULL AND l.cold) AS cold_latency_buckets,
            array_agg(l.fallback_reason) FILTER (WHERE l.fallback_reason IS NOT NULL) AS reasons,
            count(l.ml_bin) AS ml_confidence_count,
            coalesce(sum(l.ml_confidence) FILTER (WHERE l.ml_bin IS NOT NULL), 0) AS ml_confidence_sum,
            count(l.rule_bin) AS rule_confidence_count,
            coalesce(sum(l.rule_confidence) FILTER (WHERE l.rule_bin IS NOT NULL), 0) AS rule_confidence_sum,
            count(l.blended_bin) AS blended_confidence_count,
            coalesce(sum(l.blended_confidence) FILTER (WHERE l.blended_bin IS NOT NULL), 0) AS blended_confidence_sum,
            array_agg(l.ml_bin) FILTER (WHERE l.ml_bin IS NOT NULL) AS ml_bins,
            array_agg(l.rule_bin) FILTER (WHERE l.rule_bin IS NOT NULL) AS rule_bins,
            array_agg(l.blended_bin) FILTER (WHERE l.blended_bin IS NOT NULL) AS blended_bins
        FROM logged AS l
        GROUP BY l.bucket, l.source, l.role, l.model_version
    )
    SELECT
        g.bucket,
        g.source,
        g.role,
        g.model_version,
        g.predictions,
        g.attempted,
        g.used,
        g.fallbacks,
        g.errors,
        g.rescorings,
        g.cache_hits,
        g.timed,
        g.within_target,
        g.latency_sum_us,
        g.cold_calls,
        ml.count_bins(g.latency_buckets),
        ml.count_bins(g.cold_latency_buckets),
        CASE WHEN g.reasons IS NULL THEN '{}'::jsonb ELSE (
            SELECT jsonb_object_agg(r.reason, r.predictions)
            FROM (
                SELECT given.reason, count(*) AS predictions FROM unnest(g.reasons) AS given (reason)
                GROUP BY given.reason
            ) AS r
        ) END,
        g.ml_confidence_count,
        g.ml_confidence_sum,
        g.rule_confidence_count,
        g.rule_confidence_sum,
        g.blended_confidence_count,
        g.blended_confidence_sum,
        ml.count_bins(g.ml_bins, 20, true),
        ml.count_bins(g.rule_bins, 20, true),
        ml.count_bins(g.blended_bins, 20, true)
    FROM grouped AS g
$function$;
COMMENT ON FUNCTION ml.summarize_predictions IS
    'Counts and histograms of the logged predictions from p_from up to p_to, by buckets of p_width, source, role and version.';
REVOKE ALL ON FUNCTION ml.summarize_predictions FROM PUBLIC;
