-- Stores what the predictions of a baseline achieved on the outcomes known by some time, if there are enough; says how many rows.
-- Called by: ml.store_baseline_performance, ml.run_performance.
-- Calls: ml.measure_performance, ml.prediction_outcomes, ml.sampling_deviations.
-- Reads: ml_baselines, ml_settings. Writes: ml_baseline_performance.

-- Outcomes come later than predictions: with fewer than 200 known ones, or fewer than 20 wins or others, nothing is stored,
-- and ml.run_performance tries again. Pattern types with as many get rows of their own at the same time.
CREATE OR REPLACE FUNCTION ml.measure_baseline(p_baseline_id bigint, p_at timestamptz)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Sorting on disk takes twice as long.
SET work_mem = '64MB'
AS $function$
DECLARE
    v_baseline public.ml_baselines;
    v_threshold double precision;
    v_ml_share double precision;
    v_stored integer;
BEGIN
    SELECT * INTO v_baseline FROM public.ml_baselines AS b WHERE b.baseline_id = p_baseline_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no baseline %: see table ml_baselines', coalesce(p_baseline_id::text, 'NULL')
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT s.confidence_threshold, s.ml_weight / (s.ml_weight + s.rule_weight) INTO v_threshold, v_ml_share
    FROM public.ml_settings AS s;

    WITH measured AS MATERIALIZED (
        SELECT m.*
        FROM ml.measure_performance(
            p_from => v_baseline.window_from,
            p_to => v_baseline.window_to,
            p_model_version => v_baseline.model_version,
            p_threshold => v_threshold,
            p_sources => v_baseline.sources,
            p_at => p_at
        ) AS m
        WHERE m.labelled >= 200 AND m.wins >= 20 AND m.labelled - m.wins >= 20 AND m.standard_error IS NOT NULL
    ),

    deviation AS (
        SELECT given.type, own.metric, own.deviation
        FROM (
            SELECT
                CASE WHEN grouping(o.type) = 0 THEN o.type ELSE '' END AS type,
                array_agg(o.ml_confidence) AS scores,
                array_agg(o.blended_confidence >= v_threshold) AS confirmed,
                array_agg(o.is_win) AS is_win
            FROM (
                SELECT found.*, coalesce(nullif(found.pattern_type, ''), '(none)') AS type
                FROM ml.prediction_outcomes(
                    p_version => v_baseline.model_version,
                    p_from => v_baseline.window_from,
                    p_to => v_baseline.window_to,
                    p_sources => v_baseline.sources,
                    p_at => p_at
                ) AS found
                WHERE found.left_out IS NULL AND found.ml_confidence BETWEEN 0 AND 1
                    AND found.blended_confidence BETWEEN 0 AND 1
            ) AS o
            GROUP BY GROUPING SETS ((), (o.type))
        ) AS given
        CROSS JOIN LATERAL ml.sampling_deviations(given.scores, given.confirmed, given.is_win) AS own
        WHERE given.type IN (SELECT m.pattern_type FROM measured AS m)
    )

    INSERT INTO public.ml_baseline_performance (
        baseline_id, pattern_type, metric, value, standard_error, n, sampling_deviation, threshold, ml_share
    )
    SELECT
        p_baseline_id,
        m.pattern_type,
        m.metric,
        m.value,
        m.standard_error,
        m.n,
        d.deviation,
        m.threshold,
        CASE WHEN m.threshold IS NOT NULL THEN v_ml_share END
    FROM measured AS m
    LEFT JOIN deviation AS d ON d.type = m.pattern_type AND d.metric = m.metric
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_stored = ROW_COUNT;
    RETURN v_stored;
END
$function$;
COMMENT ON FUNCTION ml.measure_baseline IS
    'Stores what the predictions of a baseline achieved on the outcomes known by some time, if there are enough; says how many rows.';
REVOKE ALL ON FUNCTION ml.measure_baseline FROM PUBLIC;
