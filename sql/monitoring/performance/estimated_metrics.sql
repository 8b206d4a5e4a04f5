-- Metrics to be expected of predictions without outcomes, a row each: confidence-based performance estimation (CBPE).
-- Called by: ml.estimate_performance. Calls: nothing. Reads: nothing. Writes: nothing.

-- NannyML 0.13.1, CBPE for binary classification: a prediction with the calibrated probability p of a win is p of a win
-- and 1 - p of another outcome. It holds as long as the probabilities do: what changes the outcomes that belong to the
-- same features (concept drift) is not seen. p_scores order the events for roc_auc and average_precision; the counts along
-- that order are rounded to five decimals, as there. 0 / 0 is a missing row here, and 0 or NaN there.
-- Rows with NULL, or a probability outside 0 to 1 (NaN, too), are left out.
CREATE OR REPLACE FUNCTION ml.estimated_metrics(
    p_probability double precision[],
    p_predicted boolean[],
    p_scores double precision[]
)
RETURNS TABLE (metric text, value double precision)
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH valid AS (
        -- Postgres refuses half of the smallest number as too small to hold.
        SELECT CASE WHEN given.probability < 1e-200 THEN 0 ELSE given.probability END AS probability, given.predicted, given.score
        FROM unnest(p_probability, p_predicted, p_scores) AS given (probability, predicted, score)
        WHERE given.probability BETWEEN 0 AND 1 AND given.predicted IS NOT NULL
            AND given.score > '-infinity' AND given.score < 'infinity'
    ),

    cell AS (
        SELECT
            count(*)::double precision AS events,
            coalesce(sum(v.probability) FILTER (WHERE v.predicted), 0) AS tp,
            coalesce(sum(1 - v.probability) FILTER (WHERE v.predicted), 0) AS fp,
            coalesce(sum(v.probability) FILTER (WHERE NOT v.predicted), 0) AS fn,
            coalesce(sum(1 - v.probability) FILTER (WHERE NOT v.predicted), 0) AS tn
        FROM valid AS v
    ),

    counted AS (
        SELECT
            c.place,
            round(c.positives * 1e5::double precision) / 1e5::double precision AS tp,
            round((c.place - c.positives) * 1e5::double precision) / 1e5::double precision AS fp
        FROM (
            SELECT
                sum(v.probability) OVER in_order AS positives,
                row_number() OVER in_order::double precision AS place
            FROM valid AS v
            WINDOW in_order AS (ORDER BY v.score DESC, v.probability DESC ROWS UNBOUNDED PRECEDING)
        ) AS c
    ),

    step AS (
        SELECT
            c.place,
            c.tp,
            c.fp,
            coalesce(lag(c.tp) OVER in_order, 0) AS tp_before,
            coalesce(lag(c.fp) OVER in_order, 0) AS fp_before,
            max(c.tp) OVER () AS tp_all,
            max(c.fp) OVER () AS fp_all
        FROM counted AS c
        WINDOW in_order AS (ORDER BY c.place)
    ),

    ranking AS (
        SELECT
            sum((s.fp - s.fp_before) / nullif(s.fp_all, 0) * ((s.tp + s.tp_before) / nullif(s.tp_all, 0)) / 2) AS roc_auc,
            sum((s.tp - s.tp_before) / nullif(s.tp_all, 0) * (s.tp / s.place)) AS average_precision
        FROM step AS s
    )

    SELECT figure.name, figure.value
    FROM cell AS c
    CROSS JOIN ranking AS r
    CROSS JOIN LATERAL (
        VALUES
            ('accuracy', (c.tp + c.tn) / nullif(c.events, 0)),
            ('precision', c.tp / nullif(c.tp + c.fp, 0)),
            ('recall', c.tp / nullif(c.tp + c.fn, 0)),
            ('f1', c.tp / nullif(c.tp + 0.5 * (c.fp + c.fn), 0)),
            ('false_positive_rate', c.fp / nullif(c.fp + c.tn, 0)),
            ('false_negative_rate', c.fn / nullif(c.tp + c.fn, 0)),
            ('roc_auc', r.roc_auc),
            ('average_precision', r.average_precision)
    ) AS figure (name, value)
    WHERE figure.value IS NOT NULL
$function$;
COMMENT ON FUNCTION ml.estimated_metrics IS
    'Metrics to be expected of predictions without outcomes, a row each: confidence-based performance estimation (CBPE).';
REVOKE ALL ON FUNCTION ml.estimated_metrics FROM PUBLIC;
