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
    SELECT
        sum(reached.positives * (reached.positives_so_far / reached.cases_so_far))
        / nullif(sum(reached.positives), 0)::double precision
    FROM (
        SELECT
            level.positives,
            sum(level.positives) OVER (ORDER BY level.value DESC)::double precision AS positives_so_far,
            sum(level.cases) OVER (ORDER BY level.value DESC)::double precision AS cases_so_far
        FROM (
            SELECT score.value, count(*) AS cases, count(*) FILTER (WHERE score.positive) AS positives
            FROM unnest(p_scores, p_positive) AS score (value, positive)
            WHERE score.value > '-infinity' AND score.value < 'infinity' AND score.positive IS NOT NULL
            GROUP BY score.value
        ) AS level
    ) AS reached
$function$;
COMMENT ON FUNCTION ml.average_precision IS
    'Average precision of a score: the mean of the precision at every threshold, weighted by the recall that it adds.';
REVOKE ALL ON FUNCTION ml.average_precision FROM PUBLIC;
