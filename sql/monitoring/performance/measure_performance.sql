-- How good live predictions were on outcomes known by now: a row per version, pattern type, score and metric.
-- Called by: ml.run_performance, ml.measure_baseline, people.
-- Calls: ml.prediction_outcomes, ml.classification_metrics. Reads: ml_settings. Writes: nothing.

-- Of every event the first prediction of the version within p_from (default: 30 days before p_to) to p_to (default: now)
-- that was acted on; a win is the positive class. Which outcomes count is said at ml.prediction_outcomes.
-- The decision is to confirm: blended_confidence at or above p_threshold (default: ml_settings.confidence_threshold). It
-- has accuracy, precision, recall, f1, both error rates and the counts of the confusion matrix. ml_confidence, which is
-- the probability of a win, has roc_auc, average_precision, brier, log_loss and ece.
-- With p_scores (of ml_confidence, blended_confidence, rule_confidence) all that means something of each of them, for
-- comparison: decisions as if that score were compared with the threshold; the losses and ece of ml_confidence only,
-- because the others were never meant to be probabilities.
-- predictions: events predicted; labelled: those whose outcome counts. pattern_type is empty for all of them together.
CREATE OR REPLACE FUNCTION ml.measure_performance(
    p_from timestamptz DEFAULT NULL,
    p_to timestamptz DEFAULT NULL,
    p_model_version text DEFAULT NULL,
    p_pattern_type text DEFAULT NULL,
    p_threshold double precision DEFAULT NULL,
    p_scores text[] DEFAULT NULL,
    p_sources text[] DEFAULT ARRAY['insert', 'update'],
    p_at timestamptz DEFAULT now()
)
RETURNS TABLE (
    model_version text,
    pattern_type text,
    score text,
    metric text,
    value double precision,
    standard_error double precision,
    low double precision,
    high double precision,
    n bigint,
    by_chance double precision,
    predictions bigint,
    labelled bigint,
    wins bigint,
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
    c_decision CONSTANT text[] := ARRAY[
        'accuracy', 'precision', 'recall', 'f1', 'false_positive_rate', 'false_negative_rate',
        'true_positives', 'false_positives', 'true_negatives', 'false_negatives'];
    c_ranking CONSTANT text[] := ARRAY['roc_auc', 'average_precision'];
    c_probability CONSTANT text[] := ARRAY['brier', 'log_loss', 'ece'];
    v_to CONSTANT timestamptz := coalesce(p_to, p_at);
    v_threshold double precision := p_threshold;
    v_group record;
BEGIN
    IF p_scores <@ ARRAY['ml_confidence', 'blended_confidence', 'rule_confidence'] IS FALSE THEN
        RAISE EXCEPTION 'p_scores is %: it may hold ml_confidence, blended_confidence and rule_confidence', p_scores
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF (p_threshold BETWEEN 0 AND 1) IS FALSE THEN
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
            count(*) FILTER (WHERE o.counts) AS labelled,
            count(*) FILTER (WHERE o.counts AND o.is_win) AS wins,
            array_agg(o.is_win) FILTER (WHERE o.counts) AS is_win,
            array_agg(o.ml_confidence) FILTER (WHERE o.counts) AS ml_confidence,
            array_agg(o.blended_confidence) FILTER (WHERE o.counts) AS blended_confidence,
            array_agg(o.rule_confidence) FILTER (WHERE o.counts) AS rule_confidence
        FROM (
            SELECT
                found.*,
                coalesce(nullif(found.pattern_type, ''), '(none)') AS type,
                found.left_out IS NULL AND found.ml_confidence BETWEEN 0 AND 1 AS counts
            FROM ml.prediction_outcomes(
                p_version => p_model_version,
                p_from => coalesce(p_from, v_to - interval '30 days'),
                p_to => v_to,
                p_pattern_type => p_pattern_type,
                p_sources => p_sources,
                p_at => p_at
            ) AS found
        ) AS o
        GROUP BY GROUPING SETS ((o.model_version), (o.model_version, o.type))
        HAVING p_pattern_type IS NULL OR grouping(o.type) = 0
        ORDER BY 1, 2
    LOOP
        RETURN QUERY
        SELECT
            v_group.model_version,
            v_group.type,
            measured.score,
            figure.metric,
            figure.value,
            figure.standard_error,
            figure.low,
            figure.high,
            figure.n,
            figure.by_chance,
            v_group.predictions,
            v_group.labelled,
            v_group.wins,
            CASE WHEN figure.metric = ANY (c_decision) THEN v_threshold END
        FROM (
            SELECT 'blended_confidence' AS score, v_group.blended_confidence AS scores, c_decision AS metrics
            WHERE p_scores IS NULL
            UNION ALL
            SELECT 'ml_confidence', v_group.ml_confidence, c_ranking || c_probability WHERE p_scores IS NULL
            UNION ALL
            SELECT 'ml_confidence', v_group.ml_confidence, NULL WHERE 'ml_confidence' = ANY (p_scores)
            UNION ALL
            SELECT 'blended_confidence', v_group.blended_confidence, c_decision || c_ranking
            WHERE 'blended_confidence' = ANY (p_scores)
            UNION ALL
            SELECT 'rule_confidence', v_group.rule_confidence, c_decision || c_ranking
            WHERE 'rule_confidence' = ANY (p_scores)
        ) AS measured
        CROSS JOIN LATERAL ml.classification_metrics(
            measured.scores, v_group.is_win, v_threshold, measured.metrics) AS figure;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION ml.measure_performance IS
    'How good live predictions were on outcomes known by now: a row per version, pattern type, score and metric.';
REVOKE ALL ON FUNCTION ml.measure_performance FROM PUBLIC;
