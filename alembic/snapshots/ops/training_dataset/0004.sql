-- Labelled events with their features: as stored where there are any, else computed by the one definition.
-- Called by: trainer.dataset. Calls: ml.compute_event_features, ml.feature_array.
-- Reads: public.pattern_events and, through the features, ml.bar_indicators. Writes: nothing.
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
        e.outcome_label,
        e.outcome_at,
        e.realized_pnl,
        e.data_quality_score,
        CASE
            WHEN e.ml_features IS NOT NULL
                THEN ml.feature_array(jsonb_populate_record(NULL::ml.feature_vector, e.ml_features))
            WHEN c.reason IS NULL THEN ml.feature_array(c.features)
        END,
        e.ml_features IS NOT NULL
    FROM public.pattern_events AS e
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
    WHERE e.label_source = p_label_source
        AND e.outcome_label IN ('win', 'loss', 'timeout')
        AND (p_since IS NULL OR e.detected_at >= p_since)
        AND (p_until IS NULL OR e.detected_at < p_until)
        AND (p_symbols IS NULL OR e.symbol = ANY (p_symbols))
        AND (p_timeframes IS NULL OR e.timeframe = ANY (p_timeframes))
    ORDER BY e.detected_at, e.symbol, e.timeframe, e.id
$function$;
COMMENT ON FUNCTION ml.training_dataset IS
    'Labelled events with their features: as stored where there are any, else computed by the one definition.';
REVOKE ALL ON FUNCTION ml.training_dataset FROM PUBLIC;
