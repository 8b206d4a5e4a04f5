-- Expected calibration error over ten bins of equal width, Brier score and log loss, with 95 % intervals.
-- Called by: ml.choose_calibrator, ml.recalibrate.
-- Calls: ml.log_loss, ml.square, ml.resampled_spans, ml.probability_bin.
-- Reads: nothing. Writes: nothing.

-- Intervals are the 2.5 % and 97.5 % quantiles of a bootstrap over spans; null when there is one span only.
CREATE OR REPLACE FUNCTION ml.measure_calibration(
    p_probability double precision[],
    p_is_win boolean[],
    p_spans date[],
    p_resamples integer DEFAULT 200
)
RETURNS jsonb
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH cell AS (
        SELECT
            dense_rank() OVER (ORDER BY given.span)::integer AS span,
            ml.probability_bin(given.probability, 10) AS bin,
            count(*)::float8 AS members,
            count(*) FILTER (WHERE given.is_win) AS wins,
            sum(given.probability - given.is_win::integer) AS gap,
            sum(ml.square(given.probability - given.is_win::integer)) AS brier,
            sum(ml.log_loss(given.probability, given.is_win)) AS log_loss
        FROM unnest(p_probability, p_is_win, p_spans) AS given (probability, is_win, span)
        WHERE given.probability IS NOT NULL
        GROUP BY given.span, 2
    ),

    -- Resample 0 is the sample itself.
    drawn AS (
        SELECT 0 AS resample, s.span, 1 AS times FROM (SELECT DISTINCT c.span FROM cell AS c) AS s
        UNION ALL
        SELECT r.resample, r.span, r.times
        FROM ml.resampled_spans(coalesce((SELECT max(c.span) FROM cell AS c), 0), p_resamples) AS r
    ),

    binned AS (
        SELECT
            d.resample, c.bin,
            sum(d.times * c.members) AS members,
            sum(d.times * c.gap) AS gap,
            sum(d.times * c.brier) AS brier,
            sum(d.times * c.log_loss) AS log_loss
        FROM drawn AS d INNER JOIN cell AS c ON c.span = d.span
        GROUP BY d.resample, c.bin
    ),

    measured AS (
        SELECT
            b.resample,
            sum(abs(b.gap)) / sum(b.members) AS ece,
            sum(b.brier) / sum(b.members) AS brier,
            sum(b.log_loss) / sum(b.members) AS log_loss
        FROM binned AS b GROUP BY b.resample
    ),

    total AS (
        SELECT sum(c.members)::bigint AS rows, sum(c.wins)::bigint AS wins, count(DISTINCT c.span) AS spans FROM cell AS c
    )

    SELECT jsonb_build_object('rows', coalesce(t.rows, 0), 'wins', coalesce(t.wins, 0), 'spans', t.spans)
        || coalesce((
            SELECT jsonb_object_agg(figure.name, jsonb_build_object(
                'value', figure.value,
                'low', CASE WHEN t.spans > 1 THEN figure.bounds[1] END,
                'high', CASE WHEN t.spans > 1 THEN figure.bounds[2] END))
            FROM (
                SELECT
                    m.name,
                    min(m.value) FILTER (WHERE m.resample = 0) AS value,
                    percentile_cont(ARRAY[0.025, 0.975]) WITHIN GROUP (ORDER BY m.value) FILTER (WHERE m.resample > 0)
                        AS bounds
                FROM (
                    SELECT measured.resample, f.name, f.value
                    FROM measured
                    CROSS JOIN LATERAL (VALUES
                        ('ece', measured.ece), ('brier', measured.brier), ('log_loss', measured.log_loss)
                    ) AS f (name, value)
                ) AS m
                GROUP BY m.name
            ) AS figure
        ), '{}')
    FROM total AS t
$function$;
COMMENT ON FUNCTION ml.measure_calibration IS
    'Expected calibration error over ten bins of equal width, Brier score and log loss, with 95 % intervals.';
REVOKE ALL ON FUNCTION ml.measure_calibration FROM PUBLIC;
