-- Average precision of a score: the mean of the precision at every threshold, weighted by the recall that it adds.
-- Called by: ml.classification_metrics, people. Calls: nothing. Reads: nothing. Writes: nothing.

-- Equals scikit-learn 1.9 average_precision_score: equal scores are one threshold. NULL without a positive. A case with a
-- NULL, NaN or infinite score or a NULL class is left out.
CREATE OR REPLACE FUNCTION ml.average_precision(p_scores double precision[], p_positive boolean[])
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    -- Equal scores are peers: each positive counts with the precision at its own score.
    SELECT avg(reached.positives / reached.cases::double precision) FILTER (WHERE reached.positive)
    FROM (
        SELECT
            score.positive,
            count(*) FILTER (WHERE score.positive) OVER down_to AS positives,
            count(*) OVER down_to AS cases
        FROM unnest(p_scores, p_positive) AS score (value, positive)
        WHERE score.value > '-infinity' AND score.value < 'infinity' AND score.positive IS NOT NULL
        WINDOW down_to AS (ORDER BY score.value DESC)
    ) AS reached
$function$;
COMMENT ON FUNCTION ml.average_precision IS
    'Average precision of a score: the mean of the precision at every threshold, weighted by the recall that it adds.';
REVOKE ALL ON FUNCTION ml.average_precision FROM PUBLIC;
