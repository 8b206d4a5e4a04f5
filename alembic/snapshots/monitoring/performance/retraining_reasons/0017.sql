-- What monitoring of the last week says in favour of fitting a version anew, a sentence each; no row: nothing.
-- Called by: trainer.retrain. Calls: nothing. Reads: ml_performance, ml_drift, ml_gates. Writes: nothing.

-- Of the newest run of each kind: metrics over all pattern types that are degraded; half of the features drifted, or
-- ml_confidence itself; a calibration error that is surely (95 %) above what the gate of promotions lets pass. That the
-- model's data has become old is said by trainer.retrain, which knows what new data there is.
CREATE OR REPLACE FUNCTION ml.retraining_reasons(p_version text)
RETURNS SETOF text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
-- A date must not depend on the session.
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
    WITH performance AS (
        SELECT p.*
        FROM public.ml_performance AS p
        WHERE p.model_version = p_version AND p.pattern_type = '' AND p.run_at = (
            SELECT max(newest.run_at)
            FROM public.ml_performance AS newest
            WHERE newest.model_version = p_version AND newest.run_at > now() - interval '7 days'
        )
    ),

    drift AS (
        SELECT
            count(*) FILTER (WHERE d.subject = 'feature' AND d.verdict <> 'insufficient_data') AS judged,
            count(*) FILTER (WHERE d.subject = 'feature' AND d.verdict = 'drift') AS drifted,
            max(d.value) FILTER (WHERE d.feature = 'ml_confidence' AND d.subject = 'score' AND d.verdict = 'drift') AS score,
            max(d.run_at) AS run_at
        FROM public.ml_drift AS d
        WHERE d.model_version = p_version AND d.method = 'jensen_shannon' AND d.run_at = (
            SELECT max(newest.run_at)
            FROM public.ml_drift AS newest
            WHERE newest.model_version = p_version AND newest.method = 'jensen_shannon'
                AND newest.run_at > now() - interval '7 days'
        )
    ),

    reason AS (
        SELECT
            1 AS place,
            format(
                '%s %s of %s is %s, beyond %s; the baseline has %s (window up to %s)',
                p.kind, p.metric, p_version, round(p.value::numeric, 3),
                round(CASE WHEN p.value < p.baseline THEN p.lower_limit ELSE p.upper_limit END::numeric, 3),
                round(p.baseline::numeric, 3), p.window_to::date
            ) AS sentence
        FROM performance AS p
        WHERE p.verdict = 'degraded'
        UNION ALL
        SELECT
            2,
            format(
                'the calibration error of %s is %s, surely above %s (95 %% interval from %s, on %s outcomes): '
                'ml.recalibrate may be enough',
                p_version, round(p.value::numeric, 3), g.threshold, round(p.low::numeric, 3), p.labelled)
        FROM performance AS p
        INNER JOIN public.ml_gates AS g ON g.gate = 'calibration' AND p.low > g.threshold
        WHERE p.kind = 'realised' AND p.metric = 'ece' AND p.verdict <> 'insufficient_data'
        UNION ALL
        SELECT
            3,
            format(
                '%s of %s features have drifted from the baseline of %s (run of %s)',
                d.drifted, d.judged, p_version, d.run_at::date)
        FROM drift AS d
        WHERE d.drifted > 0 AND d.drifted >= 0.5 * d.judged
        UNION ALL
        SELECT
            4,
            format(
                'ml_confidence of %s has drifted from its baseline: Jensen-Shannon distance %s (run of %s)',
                p_version, round(d.score::numeric, 3), d.run_at::date)
        FROM drift AS d
        WHERE d.score IS NOT NULL
    )

    SELECT r.sentence FROM reason AS r ORDER BY r.place, r.sentence
$function$;
COMMENT ON FUNCTION ml.retraining_reasons IS
    'What monitoring of the last week says in favour of fitting a version anew, a sentence each; no row: nothing.';
REVOKE ALL ON FUNCTION ml.retraining_reasons FROM PUBLIC;
