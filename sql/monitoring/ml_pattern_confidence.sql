-- Everything about one pattern: the event, how its confidence came about, every logged prediction, its history.
-- Called by: applications. Calls: nothing.
-- Reads: pattern_events, ml_predictions, pattern_lifecycle_history, ml_settings. Writes: nothing.

CREATE OR REPLACE FUNCTION public.ml_pattern_confidence(p_id uuid)
RETURNS jsonb
LANGUAGE sql
-- With the caller's rights, so that row-level security holds.
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT pg_catalog.jsonb_build_object(
        'id', p_id,
        'found', event.id IS NOT NULL,
        'symbol', event.symbol,
        'timeframe', event.timeframe,
        'pattern_type', event.pattern_type,
        'direction', event.direction,
        'detected_at', event.detected_at,
        'status', event.status,
        'rule_confidence', CASE WHEN event.rule_confidence < 'infinity' THEN event.rule_confidence END,
        'ml_confidence_raw', event.ml_confidence_raw,
        'ml_confidence', event.ml_confidence,
        'blended_confidence', event.blended_confidence,
        'confirmed', coalesce(event.blended_confidence >= settings.confidence_threshold, false),
        'confidence_threshold', settings.confidence_threshold,
        'prediction_class', event.prediction_class,
        'model_version', event.model_version,
        'fallback_reason', event.ml_metadata #>> '{scoring,fallback_reason}',
        'scoring', event.ml_metadata -> 'scoring',
        'features', event.ml_features,
        'levels', pg_catalog.jsonb_build_object(
            'entry_price', event.entry_price, 'target_price', event.target_price, 'stop_price', event.stop_price,
            'support', event.support, 'resistance', event.resistance),
        'outcome', CASE WHEN event.outcome_label IS NOT NULL THEN pg_catalog.jsonb_build_object(
            'label', event.outcome_label, 'at', event.outcome_at, 'realized_pnl', event.realized_pnl,
            'max_drawdown', event.max_drawdown, 'source', event.label_source) END,
        'predictions', coalesce((
            SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(prediction) - 'features' ORDER BY prediction.predicted_at)
            FROM public.ml_predictions AS prediction WHERE prediction.event_id = p_id
        ), '[]'),
        'history', coalesce((
            SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(change) - 'event_id' ORDER BY change.id)
            FROM public.pattern_lifecycle_history AS change WHERE change.event_id = p_id
        ), '[]')
    )
    FROM (SELECT) AS always
    LEFT JOIN public.pattern_events AS event ON event.id = p_id
    LEFT JOIN public.ml_settings AS settings ON true
$function$;
COMMENT ON FUNCTION public.ml_pattern_confidence IS
    'Everything about one pattern: the event, how its confidence came about, every logged prediction, its history.';
REVOKE ALL ON FUNCTION public.ml_pattern_confidence FROM PUBLIC;
