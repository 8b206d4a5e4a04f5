-- The first prediction that each model logged for an event within some bounds, with the outcome, or why that does not count.
-- Called by: ml.calibration_rows, ml.measure_performance, ml.estimate_performance, ml.reliability_table,
--            ml.measure_baseline. Calls: nothing.
-- Reads: ml_predictions, pattern_events, ml_models, ml_label_definitions, ml_timeframes. Writes: nothing.
--
-- Left out, each with its reason, are events without an outcome by p_at, all of a model that was trained on labels which
-- pattern_events does not hold, those of the model's training window (it has seen their outcomes), and those whose label
-- window may still be open: of these only the quick outcomes are known, and they are not like the rest. The label window of a timeframe is the time within which 99 % of its outcomes came.
-- p_from and p_to bound the time of the prediction, p_since and p_until that of the event's detection.

CREATE OR REPLACE FUNCTION ml.prediction_outcomes(
    p_version text DEFAULT NULL,
    p_from timestamptz DEFAULT NULL,
    p_to timestamptz DEFAULT NULL,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_pattern_type text DEFAULT NULL,
    p_roles text[] DEFAULT ARRAY['champion', 'challenger'],
    p_sources text[] DEFAULT ARRAY['insert', 'update'],
    p_at timestamptz DEFAULT now()
)
RETURNS TABLE (
    model_version text,
    event_id uuid,
    predicted_at timestamptz,
    symbol text,
    timeframe text,
    pattern_type text,
    detected_at timestamptz,
    bar_period interval,
    known_at timestamptz,
    ml_confidence_raw double precision,
    ml_confidence double precision,
    rule_confidence double precision,
    blended_confidence double precision,
    is_win boolean,
    left_out text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
-- A month of the log and all of it take different plans, and sorting on disk takes twice as long.
SET plan_cache_mode = force_custom_plan
SET work_mem = '64MB'
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    -- Each step once: right after a bulk load the planner would repeat some for every row.
    WITH scored AS MATERIALIZED (
        SELECT DISTINCT ON (p.event_id, p.model_version)
            p.model_version, p.event_id, p.predicted_at, p.ml_confidence_raw, p.ml_confidence, p.rule_confidence,
            p.blended_confidence
        FROM public.ml_predictions AS p
        WHERE p.model_version IS NOT NULL
            AND (p_version IS NULL OR p.model_version = p_version)
            AND p.role = ANY (p_roles)
            AND p.source = ANY (p_sources)
            AND p.ml_confidence_raw BETWEEN 0 AND 1
            AND (p_from IS NULL OR p.predicted_at >= p_from)
            AND (p_to IS NULL OR p.predicted_at < p_to)
            AND p.predicted_at <= p_at
        ORDER BY p.event_id, p.model_version, p.predicted_at, p.id
    ),

    model AS MATERIALIZED (
        SELECT
            registered.version,
            registered.data_window,
            EXISTS (
                SELECT FROM public.ml_label_definitions AS l
                WHERE l.name = registered.card #>> '{label,name}' AND NOT l.fills_event
            ) AS has_other_label
        FROM public.ml_models AS registered
    ),

    judged AS MATERIALIZED (
        SELECT
            s.*,
            e.symbol,
            e.timeframe,
            lower(e.pattern_type) AS pattern_type,
            e.detected_at,
            e.outcome_at,
            t.bar_period,
            e.outcome_label = 'win' AS is_win,
            CASE
                WHEN m.has_other_label THEN 'other_label'
                WHEN m.data_window @> e.detected_at THEN 'in_training_window'
                WHEN e.outcome_label IS NULL OR e.outcome_label NOT IN ('win', 'loss', 'timeout') THEN 'no_outcome'
                WHEN e.outcome_at IS NULL THEN 'no_outcome_time'
                WHEN e.outcome_at > p_at THEN 'no_outcome'
            END AS left_out
        FROM scored AS s
        INNER JOIN public.pattern_events AS e ON e.id = s.event_id
        INNER JOIN model AS m ON m.version = s.model_version
        LEFT JOIN public.ml_timeframes AS t ON t.timeframe = e.timeframe
        WHERE (p_since IS NULL OR e.detected_at >= p_since)
            AND (p_until IS NULL OR e.detected_at < p_until)
            AND (p_pattern_type IS NULL OR lower(e.pattern_type) = lower(p_pattern_type))
    ),

    label_window AS MATERIALIZED (
        SELECT
            j.model_version,
            j.timeframe,
            percentile_disc(0.99) WITHIN GROUP (ORDER BY j.outcome_at - j.detected_at) AS length
        FROM judged AS j WHERE j.left_out IS NULL GROUP BY j.model_version, j.timeframe
    )

    SELECT
        j.model_version,
        j.event_id,
        j.predicted_at,
        j.symbol,
        j.timeframe,
        j.pattern_type,
        j.detected_at,
        j.bar_period,
        greatest(j.outcome_at, j.detected_at + w.length),
        j.ml_confidence_raw,
        j.ml_confidence,
        j.rule_confidence,
        j.blended_confidence,
        j.is_win,
        CASE
            WHEN j.left_out IS NULL AND greatest(j.outcome_at, j.detected_at + w.length) > p_at THEN 'label_window_open'
            ELSE j.left_out
        END
    FROM judged AS j
    LEFT JOIN label_window AS w ON w.model_version = j.model_version AND w.timeframe = j.timeframe;
END
$function$;
COMMENT ON FUNCTION ml.prediction_outcomes IS
    'The first prediction that each model logged for an event within some bounds, with the outcome, or why that does not count.';
REVOKE ALL ON FUNCTION ml.prediction_outcomes FROM PUBLIC;
