-- Events whose blended confidence reaches the threshold: what the threshold decides.
-- Called by: applications. Calls: nothing. Reads: pattern_events, ml_settings. Writes: nothing.

CREATE VIEW public.confirmed_patterns WITH (security_invoker = true) AS
SELECT
    event.id,
    event.symbol,
    event.timeframe,
    event.pattern_type,
    event.direction,
    event.detected_at,
    event.entry_price,
    event.target_price,
    event.stop_price,
    event.rule_confidence,
    event.ml_confidence,
    event.blended_confidence,
    event.prediction_class,
    event.model_version,
    event.status,
    event.outcome_label
FROM public.pattern_events AS event
WHERE event.blended_confidence >= (SELECT settings.confidence_threshold FROM public.ml_settings AS settings)
    -- NaN sorts above every threshold.
    AND event.blended_confidence < 'infinity';
COMMENT ON VIEW public.confirmed_patterns IS
    'Events whose blended confidence reaches the threshold: what the threshold decides.';
