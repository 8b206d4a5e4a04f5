-- How much lower the log loss of some probabilities is than that of others, for the same events, with its error.
-- Called by: ml.choose_calibrator, ml.recalibrate. Calls: ml.clustered_mean, ml.log_loss, ml.square.
-- Reads: nothing. Writes: nothing.

-- Rows for which either is NULL are left out.
CREATE OR REPLACE FUNCTION ml.compare_calibration(
    p_before double precision[],
    p_after double precision[],
    p_is_win boolean[],
    p_spans date[],
    OUT rows bigint,
    OUT wins bigint,
    OUT spans bigint,
    OUT log_loss double precision,
    OUT log_loss_gain double precision,
    OUT standard_error double precision,
    OUT brier double precision,
    OUT brier_gain double precision
)
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    SELECT
        loss.rows, loss.wins, loss.spans, loss.log_loss, gain.mean, gain.standard_error, loss.brier, loss.brier_gain
    FROM (
        SELECT
            count(*) AS rows,
            count(*) FILTER (WHERE given.is_win) AS wins,
            count(DISTINCT given.span) AS spans,
            avg(ml.log_loss(given.after, given.is_win)) AS log_loss,
            avg(ml.square(given.after - given.is_win::integer)) AS brier,
            avg(ml.square(given.before - given.is_win::integer) - ml.square(given.after - given.is_win::integer)) AS brier_gain,
            array_agg(ml.log_loss(given.before, given.is_win) - ml.log_loss(given.after, given.is_win)) AS gains,
            array_agg(given.span) AS gain_spans
        FROM unnest(p_before, p_after, p_is_win, p_spans) AS given (before, after, is_win, span)
        WHERE given.before IS NOT NULL AND given.after IS NOT NULL
    ) AS loss
    CROSS JOIN LATERAL ml.clustered_mean(loss.gains, loss.gain_spans) AS gain
$function$;
COMMENT ON FUNCTION ml.compare_calibration IS
    'How much lower the log loss of some probabilities is than that of others, for the same events, with its error.';
REVOKE ALL ON FUNCTION ml.compare_calibration FROM PUBLIC;
