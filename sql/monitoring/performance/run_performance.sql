-- Measures and estimates the performance of every version with live predictions in a window, and judges it by the baseline.
-- Called by: ml.run_step, operators.
-- Calls: ml.lock_job, ml.measure_performance, ml.estimate_performance, ml.measure_baseline.
-- Reads: ml_settings, ml_baselines, ml_baseline_performance. Writes: ml_performance, ml_baseline_performance.

-- A run is known by p_at, which is the end of its window; run again, it replaces its rows. The window should be some times
-- as long as labels take to be known. Every version has a row for every metric over all pattern types, a pattern type
-- where there is enough to judge.
-- verdict
--   insufficient_data  realised: fewer than 200 labelled events, 20 wins or 20 others, or fewer than 20 events that the
--                      metric is of (precision: confirmed ones); estimated: fewer than 200 events
--   no_baseline        nothing to compare with; of decisions also when threshold or weights were others
--   degraded           worse than the baseline by more than 3 standard errors of the difference, which are both theirs: as
--                      NannyML's mean -+ 3 sigma of its reference, with the error of the figure itself besides
--   ok                 else
-- Standard error of a difference: of shares that of the pooled share, which few events do not make 0; of f1 the same by the
-- delta method; else the root of the sum of squares. ece may exceed by what chance alone gives, too: that shrinks with
-- the number of events, and is not an error of the model.
CREATE OR REPLACE FUNCTION ml.run_performance(p_at timestamptz DEFAULT now(), p_window interval DEFAULT '30 days')
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
-- Sorting on disk takes twice as long.
SET work_mem = '64MB'
AS $function$
DECLARE
    c_metrics CONSTANT text[] := ARRAY[
        'accuracy', 'precision', 'recall', 'f1', 'false_positive_rate', 'false_negative_rate', 'roc_auc',
        'average_precision', 'brier', 'log_loss', 'ece'];
    c_estimated CONSTANT text[] := c_metrics[1:8];
    c_worse_above CONSTANT text[] := ARRAY['false_positive_rate', 'false_negative_rate', 'brier', 'log_loss', 'ece'];
    c_shares CONSTANT text[] := ARRAY[
        'accuracy', 'precision', 'recall', 'f1', 'false_positive_rate', 'false_negative_rate'];
    v_from timestamptz;
    v_baseline bigint;
    v_result jsonb;
BEGIN
    IF p_at IS NULL OR NOT isfinite(p_at) THEN
        RAISE EXCEPTION 'p_at is %: give the time that the run is for, or leave it out', coalesce(p_at::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF (p_window > interval '0' AND p_window <= interval '100 years') IS NOT TRUE THEN
        RAISE EXCEPTION 'p_window is %: it must be longer than nothing, and 100 years at most', coalesce(p_window::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_from := p_at - p_window;

    -- Of two at once the second replaces what the first wrote, instead of failing on its key.
    PERFORM ml.lock_job('performance', true);

    FOR v_baseline IN
        SELECT newest.baseline_id
        FROM (SELECT max(b.baseline_id) AS baseline_id FROM public.ml_baselines AS b GROUP BY b.model_version) AS newest
        WHERE NOT EXISTS (
            SELECT FROM public.ml_baseline_performance AS stored WHERE stored.baseline_id = newest.baseline_id
        )
        ORDER BY newest.baseline_id
    LOOP
        PERFORM ml.measure_baseline(v_baseline, p_at);
    END LOOP;

    DELETE FROM public.ml_performance AS old WHERE old.run_at = p_at;
    WITH measured AS MATERIALIZED (
        SELECT m.* FROM ml.measure_performance(p_from => v_from, p_to => p_at, p_at => p_at) AS m
    ),

    estimated AS MATERIALIZED (
        SELECT e.* FROM ml.estimate_performance(p_from => v_from, p_to => p_at, p_at => p_at) AS e
    ),

    counted AS (
        SELECT m.model_version, m.pattern_type, max(m.predictions) AS predictions, max(m.labelled) AS labelled
        FROM (
            SELECT model_version, pattern_type, predictions, labelled FROM measured
            UNION ALL
            SELECT model_version, pattern_type, predictions, labelled FROM estimated
        ) AS m
        GROUP BY m.model_version, m.pattern_type
    ),

    figure AS (
        SELECT
            c.model_version,
            c.pattern_type,
            'realised' AS kind,
            name.metric,
            c.predictions,
            c.labelled,
            m.value,
            m.standard_error,
            m.low,
            m.high,
            m.n,
            coalesce(m.by_chance, 0) AS by_chance,
            m.threshold,
            (m.labelled >= 200 AND m.wins >= 20 AND m.labelled - m.wins >= 20 AND m.n >= 20) IS TRUE AS is_enough
        FROM counted AS c
        CROSS JOIN unnest(c_metrics) AS name (metric)
        LEFT JOIN measured AS m USING (model_version, pattern_type, metric)
        UNION ALL
        SELECT
            c.model_version,
            c.pattern_type,
            'estimated',
            name.metric,
            c.predictions,
            c.labelled,
            e.value,
            e.sampling_error,
            e.low,
            e.high,
            e.estimated,
            0,
            e.threshold,
            (e.estimated >= 200) IS TRUE
        FROM counted AS c
        CROSS JOIN unnest(c_estimated) AS name (metric)
        LEFT JOIN estimated AS e USING (model_version, pattern_type, metric)
    ),

    limited AS (
        SELECT
            f.*,
            stored.value AS baseline,
            3 * CASE
                WHEN f.kind = 'estimated' OR NOT f.metric = ANY (c_shares)
                    THEN sqrt(stored.standard_error ^ 2 + f.standard_error ^ 2)
                ELSE pooled.slope * sqrt(
                    pooled.share * (1 - pooled.share) * (1 / nullif(f.n, 0)::double precision + 1 / stored.n::double precision))
            END AS margin
        FROM figure AS f
        CROSS JOIN public.ml_settings AS s
        LEFT JOIN public.ml_baseline_performance AS stored
            ON stored.baseline_id = (
                SELECT max(b.baseline_id) FROM public.ml_baselines AS b WHERE b.model_version = f.model_version
            )
            AND stored.pattern_type = f.pattern_type AND stored.metric = f.metric
            AND (
                stored.threshold IS NULL
                OR (
                    stored.threshold = s.confidence_threshold
                    AND stored.ml_share = s.ml_weight / (s.ml_weight + s.rule_weight)
                )
            )
        -- f1 is 2 j / (1 + j) of the share j, which is f1 / (2 - f1).
        CROSS JOIN LATERAL (
            SELECT CASE WHEN f.metric = 'f1'
                THEN (f.value / (2 - f.value) * f.n + stored.value / (2 - stored.value) * stored.n) / (f.n + stored.n)
                ELSE (f.value * f.n + stored.value * stored.n) / (f.n + stored.n)
            END AS share
        ) AS blend
        CROSS JOIN LATERAL (
            SELECT blend.share, CASE WHEN f.metric = 'f1' THEN 2 / (1 + blend.share) ^ 2 ELSE 1 END AS slope
        ) AS pooled
    ),

    judged AS (
        SELECT l.*, l.baseline - l.margin AS lower_limit, l.baseline + l.margin + l.by_chance AS upper_limit
        FROM limited AS l
    )

    INSERT INTO public.ml_performance (
        run_at, model_version, pattern_type, kind, metric, window_from, window_to, predictions, labelled, value, low, high,
        baseline, lower_limit, upper_limit, verdict, threshold
    )
    SELECT
        p_at,
        j.model_version,
        j.pattern_type,
        j.kind,
        j.metric,
        v_from,
        p_at,
        j.predictions,
        j.labelled,
        j.value,
        j.low,
        j.high,
        j.baseline,
        j.lower_limit,
        j.upper_limit,
        CASE
            WHEN NOT j.is_enough OR j.value IS NULL THEN 'insufficient_data'
            WHEN j.baseline IS NULL THEN 'no_baseline'
            WHEN j.margin IS NULL THEN 'insufficient_data'
            WHEN j.metric = ANY (c_worse_above) AND j.value > j.upper_limit THEN 'degraded'
            WHEN NOT j.metric = ANY (c_worse_above) AND j.value < j.lower_limit THEN 'degraded'
            ELSE 'ok'
        END,
        j.threshold
    FROM judged AS j
    WHERE j.pattern_type = '' OR j.is_enough;

    SELECT jsonb_build_object(
        'run_at', p_at,
        'window_from', v_from,
        'versions', coalesce(jsonb_agg(jsonb_build_object(
            'model_version', v.model_version,
            'predictions', v.predictions,
            'labelled', v.labelled,
            'rows', v.rows,
            'verdict', v.verdict,
            'degraded', v.degraded
        ) ORDER BY v.model_version), '[]'::jsonb)
    ) INTO v_result
    FROM (
        SELECT
            p.model_version,
            max(p.predictions) AS predictions,
            max(p.labelled) FILTER (WHERE p.pattern_type = '') AS labelled,
            count(*) AS rows,
            CASE
                WHEN bool_or(p.verdict = 'degraded') THEN 'degraded'
                WHEN bool_or(p.verdict = 'ok') THEN 'ok'
                WHEN bool_or(p.verdict = 'no_baseline') THEN 'no_baseline'
                ELSE 'insufficient_data'
            END AS verdict,
            coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                'kind', p.kind, 'metric', p.metric, 'pattern_type', nullif(p.pattern_type, ''), 'value', p.value,
                'baseline', p.baseline
            )) ORDER BY p.pattern_type, p.kind DESC, p.metric) FILTER (WHERE p.verdict = 'degraded'), '[]'::jsonb) AS degraded
        FROM public.ml_performance AS p
        WHERE p.run_at = p_at
        GROUP BY p.model_version
    ) AS v;
    RETURN v_result;
END
$function$;
COMMENT ON FUNCTION ml.run_performance IS
    'Measures and estimates the performance of every version with live predictions in a window, and judges it by the baseline.';
REVOKE ALL ON FUNCTION ml.run_performance FROM PUBLIC;
