-- Mean of values and its standard error, values of one span being free to move together; NULL values are left out.
-- Called by: ml.compare_calibration, ml.area_under_roc, ml.tune_blend_weights. Calls: ml.square.
-- Reads: nothing. Writes: nothing.

-- Ratio estimator over k spans: sqrt(k / (k - 1) * sum((S - mean * n)^2)) / N; infinite for fewer than two spans.
CREATE OR REPLACE FUNCTION ml.clustered_mean(
    p_values double precision[],
    p_spans date[],
    OUT mean double precision,
    OUT standard_error double precision
)
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    WITH span AS (
        SELECT sum(given.value) AS total, count(*)::float8 AS members
        FROM unnest(p_values, p_spans) AS given (value, span)
        WHERE given.value IS NOT NULL GROUP BY given.span
    ),

    whole AS (
        SELECT sum(s.total) / sum(s.members) AS mean, sum(s.members) AS members, count(*)::float8 AS spans FROM span AS s
    )

    SELECT
        w.mean,
        CASE WHEN w.spans < 2 THEN 'Infinity'::float8 ELSE (
            SELECT sqrt(w.spans / (w.spans - 1) * sum(ml.square(s.total - w.mean * s.members))) / w.members FROM span AS s
        ) END
    FROM whole AS w
$function$;
COMMENT ON FUNCTION ml.clustered_mean IS
    'Mean of values and its standard error, values of one span being free to move together; NULL values are left out.';
REVOKE ALL ON FUNCTION ml.clustered_mean FROM PUBLIC;
