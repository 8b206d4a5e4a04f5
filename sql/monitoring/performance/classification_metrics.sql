-- Metrics of a score against outcomes, a row each: of the decision at a threshold, of the ranking, of the probability.
-- Called by: ml.measure_performance, people.
-- Calls: ml.wilson_interval, ml.normal_quantile, ml.delong_auc, ml.average_precision, ml.expected_calibration_error,
--        ml.log_loss, ml.square. Reads: nothing. Writes: nothing.

-- Values equal scikit-learn 1.9 (win is the positive class, a score at or above p_threshold predicts it); what is 0 / 0
-- there is NULL here. Probabilities of log_loss are clipped at 1e-15, as ml.log_loss does. Errors and intervals, events
-- taken for independent:
--   accuracy, precision, recall,      sqrt(p (1 - p) / n); Wilson's interval
--   false_positive_rate, false_negative_rate
--   f1                                2 j / (1 + j) for the share j of true positives among all that are positive in
--                                     prediction or outcome: delta method; the ends of Wilson's interval of j
--   roc_auc                           DeLong
--   average_precision                 K. Boyd, K. H. Eng, C. D. Page (2013): logit interval over the positives
--   brier, log_loss                   of a mean
--   ece                               ten bins of equal width; the interval leaves out what chance alone gives
-- n: events that the metric is of (precision: those predicted to win; the rates and recall: those of the class). The four
-- counts of the confusion matrix have no error. by_chance: what calibration error chance alone gives.
-- Rows with NULL, or a score outside 0 to 1 (NaN, too), are left out. A metric without a value has no row.
CREATE OR REPLACE FUNCTION ml.classification_metrics(
    p_scores double precision[],
    p_is_win boolean[],
    p_threshold double precision,
    p_metrics text[] DEFAULT NULL,
    p_level double precision DEFAULT 0.95
)
RETURNS TABLE (
    metric text,
    value double precision,
    standard_error double precision,
    low double precision,
    high double precision,
    n bigint,
    by_chance double precision
)
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
    v_z CONSTANT double precision := ml.normal_quantile((1 + p_level) / 2);
    v_count record;
    v_share record;
    v_figure record;
    v_half double precision;
    v_scores double precision[] := p_scores;
    v_is_win boolean[] := p_is_win;
BEGIN
    SELECT
        count(*) AS events,
        count(*) FILTER (WHERE g.is_win) AS wins,
        count(*) FILTER (WHERE g.score >= p_threshold AND g.is_win) AS true_positives,
        count(*) FILTER (WHERE g.score >= p_threshold AND NOT g.is_win) AS false_positives,
        count(*) FILTER (WHERE g.score < p_threshold AND NOT g.is_win) AS true_negatives,
        count(*) FILTER (WHERE g.score < p_threshold AND g.is_win) AS false_negatives
    INTO v_count
    FROM unnest(p_scores, p_is_win) AS g (score, is_win)
    WHERE g.score BETWEEN 0 AND 1 AND g.is_win IS NOT NULL;

    FOR v_share IN
        SELECT
            part.name,
            part.successes,
            part.trials,
            interval.share,
            interval.low,
            interval.high,
            sqrt(interval.share * (1 - interval.share) / part.trials) AS error
        FROM (
            VALUES
                ('accuracy', v_count.true_positives + v_count.true_negatives, v_count.events),
                ('precision', v_count.true_positives, v_count.true_positives + v_count.false_positives),
                ('recall', v_count.true_positives, v_count.wins),
                ('f1', v_count.true_positives, v_count.wins + v_count.false_positives),
                ('false_positive_rate', v_count.false_positives, v_count.events - v_count.wins),
                ('false_negative_rate', v_count.false_negatives, v_count.wins)
        ) AS part (name, successes, trials)
        CROSS JOIN LATERAL ml.wilson_interval(part.successes, part.trials, p_level) AS interval
        WHERE p_threshold IS NOT NULL AND part.trials > 0 AND (p_metrics IS NULL OR part.name = ANY (p_metrics))
    LOOP
        metric := v_share.name;
        value := v_share.share;
        standard_error := v_share.error;
        low := v_share.low;
        high := v_share.high;
        n := v_share.trials;
        IF metric = 'f1' THEN
            standard_error := 2 * standard_error / (1 + value) ^ 2;
            -- As scikit-learn has it: through the share it would be off by the last bit.
            value := 2 * v_share.successes / (v_share.trials + v_share.successes)::double precision;
            low := 2 * low / (1 + low);
            high := 2 * high / (1 + high);
        END IF;
        RETURN NEXT;
    END LOOP;
    IF v_count.events = 0 THEN
        RETURN;
    ELSIF v_count.events < cardinality(p_scores) THEN
        SELECT array_agg(g.score), array_agg(g.is_win) INTO v_scores, v_is_win
        FROM unnest(p_scores, p_is_win) AS g (score, is_win)
        WHERE g.score BETWEEN 0 AND 1 AND g.is_win IS NOT NULL;
    END IF;
    n := v_count.events;
    standard_error := NULL;
    low := NULL;
    high := NULL;
    FOR v_share IN
        SELECT cell.name, cell.events
        FROM (
            VALUES
                ('true_positives', v_count.true_positives),
                ('false_positives', v_count.false_positives),
                ('true_negatives', v_count.true_negatives),
                ('false_negatives', v_count.false_negatives)
        ) AS cell (name, events)
        WHERE p_threshold IS NOT NULL AND (p_metrics IS NULL OR cell.name = ANY (p_metrics))
    LOOP
        metric := v_share.name;
        value := v_share.events;
        RETURN NEXT;
    END LOOP;

    IF p_metrics IS NULL OR 'roc_auc' = ANY (p_metrics) THEN
        SELECT area.auc, area.standard_error, area.low, area.high INTO v_figure
        FROM ml.delong_auc(v_scores, v_is_win, p_level) AS area;
        IF v_figure.auc IS NOT NULL THEN
            metric := 'roc_auc';
            value := v_figure.auc;
            standard_error := v_figure.standard_error;
            low := v_figure.low;
            high := v_figure.high;
            RETURN NEXT;
        END IF;
    END IF;

    IF v_count.wins > 0 AND (p_metrics IS NULL OR 'average_precision' = ANY (p_metrics)) THEN
        metric := 'average_precision';
        value := ml.average_precision(v_scores, v_is_win);
        standard_error := sqrt(greatest(value * (1 - value), 0) / v_count.wins);
        low := value;
        high := value;
        IF value > 0 AND value < 1 THEN
            v_half := v_z / sqrt(v_count.wins * value * (1 - value));
            -- exp() raises an error where the result is too large.
            low := value / (value + (1 - value) * exp(least(v_half, 700)));
            high := value / (value + (1 - value) * exp(greatest(-v_half, -700)));
        END IF;
        RETURN NEXT;
    END IF;

    IF p_metrics IS NULL OR p_metrics && ARRAY['brier', 'log_loss'] THEN
        SELECT
            avg(loss.brier) AS brier,
            stddev_samp(loss.brier) / sqrt(count(*)) AS brier_error,
            avg(loss.log_loss) AS log_loss,
            stddev_samp(loss.log_loss) / sqrt(count(*)) AS log_loss_error
        INTO v_figure
        FROM (
            SELECT ml.square(g.score - g.is_win::integer) AS brier, ml.log_loss(g.score, g.is_win) AS log_loss
            FROM unnest(v_scores, v_is_win) AS g (score, is_win)
        ) AS loss;
        FOR v_share IN
            SELECT loss.name, loss.value, loss.error
            FROM (
                VALUES
                    ('brier', v_figure.brier, v_figure.brier_error),
                    ('log_loss', v_figure.log_loss, v_figure.log_loss_error)
            ) AS loss (name, value, error)
            WHERE p_metrics IS NULL OR loss.name = ANY (p_metrics)
        LOOP
            metric := v_share.name;
            value := v_share.value;
            standard_error := v_share.error;
            low := greatest(value - v_z * standard_error, 0);
            high := value + v_z * standard_error;
            RETURN NEXT;
        END LOOP;
    END IF;

    IF p_metrics IS NULL OR 'ece' = ANY (p_metrics) THEN
        metric := 'ece';
        SELECT found.* INTO v_figure FROM ml.expected_calibration_error(v_scores, v_is_win) AS found;
        value := v_figure.value;
        standard_error := v_figure.standard_error;
        by_chance := v_figure.by_chance;
        low := greatest(value - by_chance - v_z * standard_error, 0);
        high := least(value + v_z * standard_error, 1);
        RETURN NEXT;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.classification_metrics IS
    'Metrics of a score against outcomes, a row each: of the decision at a threshold, of the ranking, of the probability.';
REVOKE ALL ON FUNCTION ml.classification_metrics FROM PUBLIC;
