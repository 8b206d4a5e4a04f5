-- Labelled events with their features: as stored where there are any, else computed by the one definition.
-- Called by: trainer.dataset. Calls: ml.compute_event_features, ml.feature_array.
-- Reads: public.pattern_events, public.pattern_labels, public.ml_label_definitions and, through the features,
--        ml.bar_indicators. Writes: nothing.
--
-- p_label_source is a definition (TB2, D1, ...) or any label_source. An analyst's label wins over that of a definition
-- that fills pattern_events; else the label columns count where they bear the name, else what pattern_labels has.
--
-- Stored features are what was known when the event was recorded, and what its score was computed from. Values that
-- the database derived for an event are derived again; values that were given stay. features is in catalogue order,
-- NULL when the event has no usable bar.

CREATE OR REPLACE FUNCTION ml.training_dataset(
    p_label_source text DEFAULT 'TB2',
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_symbols text[] DEFAULT NULL,
    p_timeframes text[] DEFAULT NULL
)
RETURNS TABLE (
    id uuid,
    symbol text,
    timeframe text,
    pattern_type text,
    direction text,
    detected_at timestamptz,
    rule_confidence double precision,
    outcome_label text,
    outcome_at timestamptz,
    realized_pnl double precision,
    data_quality_score double precision,
    features double precision[],
    features_stored boolean
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    SELECT
        e.id,
        e.symbol,
        e.timeframe,
        lower(e.pattern_type),
        coalesce(e.direction, t.direction),
        e.detected_at,
        e.rule_confidence,
        label.outcome_label,
        label.outcome_at,
        label.realized_pnl,
        label.data_quality_score,
        CASE
            WHEN e.ml_features IS NOT NULL
                THEN ml.feature_array(jsonb_populate_record(NULL::ml.feature_vector, e.ml_features))
            WHEN c.reason IS NULL THEN ml.feature_array(c.features)
        END,
        e.ml_features IS NOT NULL
    FROM public.pattern_events AS e
    LEFT JOIN public.pattern_labels AS automatic
        ON automatic.event_id = e.id AND automatic.definition = p_label_source AND automatic.withdrawn_at IS NULL
    LEFT JOIN public.pattern_labels AS judged
        ON judged.event_id = e.id AND judged.definition = 'analyst' AND judged.withdrawn_at IS NULL
        AND EXISTS (
            SELECT FROM public.ml_label_definitions AS d WHERE d.name = p_label_source AND d.fills_event
        )
    CROSS JOIN LATERAL (
        SELECT
            by_rank.outcome_label, by_rank.outcome_at, by_rank.realized_pnl, by_rank.data_quality_score
        FROM (
            VALUES
                (1, judged.id IS NOT NULL, judged.outcome_label, judged.outcome_at, judged.realized_pnl, judged.data_quality_score),
                (2, e.label_source = p_label_source, e.outcome_label, e.outcome_at, e.realized_pnl, e.data_quality_score),
                (3, automatic.id IS NOT NULL, automatic.outcome_label, automatic.outcome_at, automatic.realized_pnl, automatic.data_quality_score)
        ) AS by_rank (rank, is_there, outcome_label, outcome_at, realized_pnl, data_quality_score)
        WHERE by_rank.is_there
        ORDER BY by_rank.rank
        LIMIT 1
    ) AS label
    LEFT JOIN ml.pattern_types AS t ON t.pattern_type = lower(e.pattern_type)
    CROSS JOIN LATERAL (
        SELECT coalesce(e.ml_metadata #> '{scoring,derived}', '[]') AS columns
    ) AS derived
    LEFT JOIN LATERAL ml.compute_event_features(ROW(
        e.symbol,
        e.timeframe,
        e.pattern_type,
        CASE WHEN NOT derived.columns ? 'direction' THEN e.direction END,
        e.detected_at,
        e.start_at,
        CASE WHEN NOT derived.columns ? 'entry_price' THEN e.entry_price END,
        CASE WHEN NOT derived.columns ? 'target_price' THEN e.target_price END,
        CASE WHEN NOT derived.columns ? 'stop_price' THEN e.stop_price END,
        CASE WHEN NOT derived.columns ? 'support' THEN e.support END,
        CASE WHEN NOT derived.columns ? 'resistance' THEN e.resistance END
    )::ml.event_inputs) AS c ON e.ml_features IS NULL
    WHERE label.outcome_label IN ('win', 'loss', 'timeout')
        AND (p_since IS NULL OR e.detected_at >= p_since)
        AND (p_until IS NULL OR e.detected_at < p_until)
        AND (p_symbols IS NULL OR e.symbol = ANY (p_symbols))
        AND (p_timeframes IS NULL OR e.timeframe = ANY (p_timeframes))
    ORDER BY e.detected_at, e.symbol, e.timeframe, e.id
$function$;
COMMENT ON FUNCTION ml.training_dataset IS
    'Labelled events with their features: as stored where there are any, else computed by the one definition.';
REVOKE ALL ON FUNCTION ml.training_dataset FROM PUBLIC;
