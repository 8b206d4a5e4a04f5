-- Everything about one pattern: the event, how its confidence came about, every logged prediction, its history.
-- Called by: applications. Calls: nothing.
-- Reads: pattern_events, ml_predictions, pattern_lifecycle_history, ml_settings, pattern_labels,
--        confidence_overrides. Writes: nothing.
--
-- An analyst's override stands beside the model's score and changes neither it nor what is confirmed:
-- effective_confidence is the override where there is one, else blended_confidence.

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
        'effective_confidence', CASE
            WHEN override.confidence IS NOT NULL THEN override.confidence
            WHEN event.blended_confidence < 'infinity' THEN event.blended_confidence
        END,
        'override', CASE WHEN override.confidence IS NOT NULL THEN pg_catalog.jsonb_build_object(
            'confidence', override.confidence,
            'confirmed', override.confidence >= settings.confidence_threshold,
            'reason', override.reason,
            'by', override.overridden_by,
            'at', override.overridden_at) END,
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
        'labels', coalesce((
            SELECT pg_catalog.jsonb_object_agg(label.definition, pg_catalog.jsonb_strip_nulls(
                pg_catalog.jsonb_build_object(
                    'label', label.outcome_label, 'at', label.outcome_at, 'bars', label.bars_to_outcome,
                    'realized_pnl', label.realized_pnl, 'max_drawdown', label.max_drawdown,
                    'data_quality_score', label.data_quality_score, 'reason', label.reason,
                    'labelled_by', label.labelled_by, 'labelled_at', label.labelled_at)))
            FROM public.pattern_labels AS label WHERE label.event_id = p_id AND label.withdrawn_at IS NULL
        ), '{}'),
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
    LEFT JOIN LATERAL (
        SELECT any_override.confidence, any_override.reason, any_override.overridden_by, any_override.overridden_at
        FROM public.confidence_overrides AS any_override
        WHERE any_override.event_id = p_id
        ORDER BY any_override.id DESC
        LIMIT 1
    ) AS override ON true
$function$;
COMMENT ON FUNCTION public.ml_pattern_confidence IS
    'Everything about one pattern: the event, how its confidence came about, every logged prediction, its history.';
REVOKE ALL ON FUNCTION public.ml_pattern_confidence FROM PUBLIC;
