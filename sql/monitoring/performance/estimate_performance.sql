-- How good live predictions without a known outcome can be expected to be: a row per version, pattern type and metric.
-- Called by: ml.run_performance, people. Calls: ml.prediction_outcomes, ml.estimated_metrics, ml.sampling_deviations.
-- Reads: ml_settings, ml_baselines, ml_baseline_performance. Writes: nothing.

-- Confidence-based performance estimation (ml.estimated_metrics) with ml_confidence as the probability of a win and the
-- decision to confirm (blended_confidence at or above p_threshold), over the events that ml.measure_performance leaves out
-- because their outcome is not known yet. low and high: three sampling errors, as NannyML has them, from the outcomes
-- behind the newest baseline of the version, else from those within the window; NULL when there are too few of either.
-- estimated: events that the estimate is of.
CREATE OR REPLACE FUNCTION ml.estimate_performance(
    p_from timestamptz DEFAULT NULL,
    p_to timestamptz DEFAULT NULL,
    p_model_version text DEFAULT NULL,
    p_pattern_type text DEFAULT NULL,
    p_threshold double precision DEFAULT NULL,
    p_at timestamptz DEFAULT now()
)
RETURNS TABLE (
    model_version text,
    pattern_type text,
    metric text,
    value double precision,
    sampling_error double precision,
    low double precision,
    high double precision,
    predictions bigint,
    labelled bigint,
    estimated bigint,
    threshold double precision
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
-- Sorting on disk takes twice as long.
SET work_mem = '64MB'
AS $function$
DECLARE
    c_least_labels CONSTANT integer := 200;
    v_to CONSTANT timestamptz := coalesce(p_to, p_at);
    v_threshold double precision := p_threshold;
    v_group record;
BEGIN
    IF (p_threshold BETWEEN 0 AND 1) IS FALSE THEN
        RAISE EXCEPTION 'p_threshold is %: it must be 0 to 1', p_threshold USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF v_threshold IS NULL THEN
        SELECT s.confidence_threshold INTO v_threshold FROM public.ml_settings AS s;
    END IF;

    FOR v_group IN
        SELECT
            o.model_version,
            CASE WHEN grouping(o.type) = 0 THEN o.type ELSE '' END AS type,
            count(*) AS predictions,
            count(*) FILTER (WHERE o.left_out IS NULL) AS labelled,
            count(*) FILTER (WHERE o.waits) AS estimated,
            array_agg(o.ml_confidence) FILTER (WHERE o.waits) AS confidence,
            array_agg(o.confirmed) FILTER (WHERE o.waits) AS confirmed,
            array_agg(o.ml_confidence) FILTER (WHERE o.left_out IS NULL) AS known_confidence,
            array_agg(o.confirmed) FILTER (WHERE o.left_out IS NULL) AS known_confirmed,
            array_agg(o.is_win) FILTER (WHERE o.left_out IS NULL) AS is_win
        FROM (
            SELECT
                found.model_version,
                found.ml_confidence,
                found.is_win,
                found.left_out,
                coalesce(nullif(found.pattern_type, ''), '(none)') AS type,
                CASE WHEN found.blended_confidence BETWEEN 0 AND 1 THEN found.blended_confidence >= v_threshold END AS confirmed,
                found.left_out <> 'in_training_window' AND found.blended_confidence BETWEEN 0 AND 1 AS waits
            FROM ml.prediction_outcomes(
                p_version => p_model_version,
                p_from => coalesce(p_from, v_to - interval '30 days'),
                p_to => v_to,
                p_pattern_type => p_pattern_type,
                p_at => p_at
            ) AS found
            WHERE found.ml_confidence BETWEEN 0 AND 1
        ) AS o
        GROUP BY GROUPING SETS ((o.model_version), (o.model_version, o.type))
        HAVING p_pattern_type IS NULL OR grouping(o.type) = 0
        ORDER BY 1, 2
    LOOP
        RETURN QUERY
        SELECT
            v_group.model_version,
            v_group.type,
            figure.metric,
            figure.value,
            band.error,
            CASE WHEN band.error IS NOT NULL THEN greatest(figure.value - 3 * band.error, 0) END,
            CASE WHEN band.error IS NOT NULL THEN least(figure.value + 3 * band.error, 1) END,
            v_group.predictions,
            v_group.labelled,
            v_group.estimated,
            CASE WHEN figure.metric NOT IN ('roc_auc', 'average_precision') THEN v_threshold END
        FROM ml.estimated_metrics(v_group.confidence, v_group.confirmed, v_group.confidence) AS figure
        LEFT JOIN public.ml_baseline_performance AS stored
            ON stored.baseline_id = (
                SELECT max(b.baseline_id) FROM public.ml_baselines AS b WHERE b.model_version = v_group.model_version
            )
            AND stored.pattern_type = v_group.type AND stored.metric = figure.metric
            AND coalesce(stored.threshold, v_threshold) = v_threshold
        LEFT JOIN (
            SELECT own.metric, own.deviation
            FROM ml.sampling_deviations(v_group.known_confidence, v_group.known_confirmed, v_group.is_win) AS own
            WHERE v_group.labelled >= c_least_labels
        ) AS known ON known.metric = figure.metric
        CROSS JOIN LATERAL (
            SELECT coalesce(stored.sampling_deviation, known.deviation) / sqrt(v_group.estimated) AS error
        ) AS band;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION ml.estimate_performance IS
    'How good live predictions without a known outcome can be expected to be: a row per version, pattern type and metric.';
REVOKE ALL ON FUNCTION ml.estimate_performance FROM PUBLIC;
