-- The first prediction that a model logged for each event, with the event's outcome; in the order of detection.
-- Called by: ml.recalibrate, ml.tune_blend_weights. Calls: nothing.
-- Reads: ml_predictions, pattern_events, ml_models, ml_timeframes. Writes: nothing.
--
-- Left out, each with its reason, are events without an outcome by p_at, those of the model's training window (it has
-- seen their outcomes), and those whose label window may still be open: of these only the quick outcomes are known,
-- and they are not like the rest. The label window of a timeframe is the time within which 99 % of its outcomes came.

CREATE OR REPLACE FUNCTION ml.calibration_rows(
    p_version text,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_include_backfill boolean DEFAULT false,
    p_at timestamptz DEFAULT now()
)
RETURNS SETOF ml.calibration_row
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
-- Where a month or a week begins must not depend on the session.
SET timezone = 'UTC'
SET jit = off
AS $function$
    -- Each step once: right after a bulk load the planner would repeat some for every row.
    WITH scored AS MATERIALIZED (
        SELECT DISTINCT ON (p.event_id) p.event_id, p.ml_confidence_raw, p.rule_confidence
        FROM public.ml_predictions AS p
        WHERE p.model_version = p_version
            AND p.role IN ('champion', 'challenger', 'shadow')
            AND (p.source IN ('insert', 'update') OR (p_include_backfill AND p.source = 'backfill'))
            AND p.ml_confidence_raw BETWEEN 0 AND 1
            AND p.predicted_at <= p_at
        ORDER BY p.event_id, p.predicted_at, p.id
    ),

    judged AS MATERIALIZED (
        SELECT
            e.id,
            e.symbol,
            e.timeframe,
            e.detected_at,
            e.outcome_at,
            t.bar_period,
            s.ml_confidence_raw,
            s.rule_confidence,
            e.outcome_label = 'win' AS is_win,
            CASE
                WHEN m.data_window @> e.detected_at THEN 'in_training_window'
                WHEN e.outcome_label IS NULL OR e.outcome_label NOT IN ('win', 'loss', 'timeout') THEN 'no_outcome'
                WHEN e.outcome_at IS NULL THEN 'no_outcome_time'
                WHEN e.outcome_at > p_at THEN 'no_outcome'
            END AS left_out
        FROM scored AS s
        INNER JOIN public.pattern_events AS e ON e.id = s.event_id
        INNER JOIN public.ml_models AS m ON m.version = p_version
        LEFT JOIN public.ml_timeframes AS t ON t.timeframe = e.timeframe
        WHERE (p_since IS NULL OR e.detected_at >= p_since)
            AND (p_until IS NULL OR e.detected_at < p_until)
    ),

    label_window AS MATERIALIZED (
        SELECT j.timeframe, percentile_disc(0.99) WITHIN GROUP (ORDER BY j.outcome_at - j.detected_at) AS length
        FROM judged AS j WHERE j.left_out IS NULL GROUP BY j.timeframe
    ),

    aged AS (
        SELECT
            j.*,
            greatest(j.outcome_at, j.detected_at + w.length) AS known_at,
            CASE WHEN max(j.bar_period) FILTER (WHERE j.left_out IS NULL) OVER () < '1 day' THEN 'week' ELSE 'month' END
                AS span
        FROM judged AS j
        LEFT JOIN label_window AS w ON w.timeframe = j.timeframe
    )

    SELECT
        a.id,
        a.symbol,
        a.timeframe,
        a.detected_at,
        a.known_at,
        date_trunc(a.span, a.detected_at)::date,
        a.ml_confidence_raw,
        a.rule_confidence,
        a.is_win,
        CASE WHEN a.left_out IS NULL AND a.known_at > p_at THEN 'label_window_open' ELSE a.left_out END
    FROM aged AS a
    ORDER BY a.detected_at, a.symbol, a.timeframe, a.id
$function$;
COMMENT ON FUNCTION ml.calibration_rows IS
    'The first prediction that a model logged for each event, with the event''s outcome; in the order of detection.';
REVOKE ALL ON FUNCTION ml.calibration_rows FROM PUBLIC;
