-- Outcomes of the predictions of one day that were acted on, by version, pattern type and tenth of ML confidence.
-- Called by: view panel_outcomes. Calls: nothing. Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

-- confirmed: blended_confidence at or above the threshold of now. An event that was scored several times in the day counts
-- with the first time. One event in p_step is looked up, by a hash of its id, and counts p_step times: a panel must not cost
-- more because there is more to see.
CREATE OR REPLACE FUNCTION ml.summarize_outcomes(p_day timestamptz, p_step bigint)
RETURNS TABLE (
    model_version text,
    pattern_type text,
    bin integer,
    predictions bigint,
    labelled bigint,
    wins bigint,
    confidence_sum double precision,
    squared_error_sum double precision,
    true_positives bigint,
    false_positives bigint,
    false_negatives bigint,
    true_negatives bigint
)
LANGUAGE sql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
ROWS 50
AS $function$
    WITH scored AS (
        SELECT DISTINCT ON (p.event_id) p.event_id, p.model_version, p.ml_confidence, p.blended_confidence
        FROM public.ml_predictions AS p
        WHERE p.predicted_at >= p_day AND p.predicted_at < p_day + interval '24 hours'
            AND p.source IN ('insert', 'update') AND p.role IN ('champion', 'challenger')
            AND p.fallback_reason IS NULL
            AND p.ml_confidence BETWEEN 0 AND 1 AND p.blended_confidence BETWEEN 0 AND 1
            AND uuid_hash_extended(p.event_id, 0) % p_step = 0
        ORDER BY p.event_id, p.predicted_at, p.id
    ),

    judged AS (
        SELECT
            s.model_version,
            e.pattern_type,
            -- The last of ten bins is closed on both sides.
            least(floor(s.ml_confidence * 10)::integer + 1, 10) AS bin,
            s.ml_confidence,
            s.blended_confidence >= (SELECT t.confidence_threshold FROM public.ml_settings AS t) AS is_confirmed,
            CASE WHEN e.outcome_label IN ('win', 'loss', 'timeout') THEN e.outcome_label = 'win' END AS is_win
        FROM scored AS s
        JOIN public.pattern_events AS e ON e.id = s.event_id
    )

    SELECT
        j.model_version,
        j.pattern_type,
        j.bin,
        count(*) * p_step,
        count(j.is_win) * p_step,
        count(*) FILTER (WHERE j.is_win) * p_step,
        coalesce(sum(j.ml_confidence) FILTER (WHERE j.is_win IS NOT NULL), 0) * p_step,
        -- A square below the smallest number is an error in Postgres.
        coalesce(sum(greatest(abs(j.ml_confidence - j.is_win::integer), 1e-100) ^ 2), 0) * p_step,
        count(*) FILTER (WHERE j.is_win AND j.is_confirmed) * p_step,
        count(*) FILTER (WHERE NOT j.is_win AND j.is_confirmed) * p_step,
        count(*) FILTER (WHERE j.is_win AND NOT j.is_confirmed) * p_step,
        count(*) FILTER (WHERE NOT j.is_win AND NOT j.is_confirmed) * p_step
    FROM judged AS j
    GROUP BY j.model_version, j.pattern_type, j.bin
$function$;
COMMENT ON FUNCTION ml.summarize_outcomes IS
    'Outcomes of the predictions of one day that were acted on, by version, pattern type and tenth of ML confidence.';
REVOKE ALL ON FUNCTION ml.summarize_outcomes FROM PUBLIC;
