-- How far metrics of m events scatter by the choice of events alone, times the square root of m, from events with outcomes.
-- Called by: ml.estimate_performance, ml.measure_baseline. Calls: nothing. Reads: nothing. Writes: nothing.

-- NannyML 0.13.1, sampling_error/binary_classification.py: population deviation of what each relevant event contributes
-- over the square root of the share of relevant events; those of false_positive_rate are its specificity's. roc_auc: of
-- the positives' placements, with the classes swapped when more than half are positive, and without the event that is
-- lowest of all if it is positive, as there. average_precision is not here: its error is drawn at random there.
CREATE OR REPLACE FUNCTION ml.sampling_deviations(
    p_scores double precision[],
    p_predicted boolean[],
    p_is_win boolean[]
)
RETURNS TABLE (metric text, deviation double precision)
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH valid AS (
        SELECT given.score, given.predicted, given.is_win, avg(given.is_win::integer::double precision) OVER () > 0.5 AS swapped
        FROM unnest(p_scores, p_predicted, p_is_win) AS given (score, predicted, is_win)
        WHERE given.score > '-infinity' AND given.score < 'infinity'
            AND given.predicted IS NOT NULL AND given.is_win IS NOT NULL
    ),

    cell AS (
        SELECT
            count(*)::double precision AS events,
            count(*) FILTER (WHERE v.predicted AND v.is_win)::double precision AS tp,
            count(*) FILTER (WHERE v.predicted AND NOT v.is_win)::double precision AS fp,
            count(*) FILTER (WHERE NOT v.predicted AND v.is_win)::double precision AS fn,
            count(*) FILTER (WHERE NOT v.predicted AND NOT v.is_win)::double precision AS tn
        FROM valid AS v
    ),

    ranked AS (
        SELECT
            v.is_win <> v.swapped AS positive,
            row_number() OVER in_order AS place,
            (count(*) FILTER (WHERE v.is_win = v.swapped) OVER in_order)::double precision AS negatives_below
        FROM valid AS v
        WINDOW in_order AS (ORDER BY CASE WHEN v.swapped THEN -v.score ELSE v.score END, v.is_win ROWS UNBOUNDED PRECEDING)
    ),

    placed AS (
        SELECT
            stddev_pop(r.negatives_below) FILTER (WHERE r.positive AND r.place > 1)
            / nullif(count(*) FILTER (WHERE NOT r.positive), 0) AS deviation,
            count(*) FILTER (WHERE r.positive) / nullif(count(*), 0)::double precision AS share
        FROM ranked AS r
    )

    SELECT figure.name, figure.deviation / sqrt(figure.share)
    FROM cell AS c
    CROSS JOIN placed AS p
    CROSS JOIN LATERAL (
        -- Of a share of successes among some of the events: the deviation, and the share of events that it is of.
        SELECT part.name, part.factor * sqrt(part.successes / part.trials * (1 - part.successes / part.trials)) AS deviation,
            part.trials / c.events AS share
        FROM (
            VALUES
                ('accuracy', c.tp + c.tn, c.events, 1::double precision),
                ('precision', c.tp, c.tp + c.fp, 1),
                ('recall', c.tp, c.tp + c.fn, 1),
                ('f1', c.tp, c.tp + c.fp + c.fn, (c.tp + c.fp + c.fn) / nullif(c.tp + 0.5 * (c.fp + c.fn), 0)),
                ('false_positive_rate', c.fp, c.fp + c.tn, 1),
                ('false_negative_rate', c.fn, c.tp + c.fn, 1)
        ) AS part (name, successes, trials, factor)
        WHERE part.trials > 0
        UNION ALL
        SELECT 'roc_auc', p.deviation, p.share
    ) AS figure
    WHERE figure.deviation IS NOT NULL AND figure.share > 0
$function$;
COMMENT ON FUNCTION ml.sampling_deviations IS
    'How far metrics of m events scatter by the choice of events alone, times the square root of m, from events with outcomes.';
REVOKE ALL ON FUNCTION ml.sampling_deviations FROM PUBLIC;
