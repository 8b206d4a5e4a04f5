-- Events whose confidence an analyst has overridden, with the model's beside it; confirmed_patterns does not change.
-- Called by: applications. Calls: nothing. Reads: pattern_events, confidence_overrides, ml_settings. Writes: nothing.

CREATE VIEW public.overridden_patterns WITH (security_invoker = true) AS
SELECT
    event.id,
    event.symbol,
    event.timeframe,
    event.pattern_type,
    event.direction,
    event.detected_at,
    event.rule_confidence,
    event.ml_confidence,
    event.blended_confidence,
    override.confidence AS override_confidence,
    -- NaN sorts above every threshold.
    coalesce(
        event.blended_confidence >= settings.confidence_threshold AND event.blended_confidence < 'infinity', false
    ) AS confirmed,
    override.confidence >= settings.confidence_threshold AS confirmed_by_override,
    override.reason,
    override.overridden_by,
    override.overridden_at,
    event.model_version
FROM (
    SELECT DISTINCT ON (any_override.event_id) any_override.*
    FROM public.confidence_overrides AS any_override
    ORDER BY any_override.event_id, any_override.id DESC
) AS override
INNER JOIN public.pattern_events AS event ON event.id = override.event_id
LEFT JOIN public.ml_settings AS settings ON true
WHERE override.confidence IS NOT NULL;
COMMENT ON VIEW public.overridden_patterns IS
    'Events whose confidence an analyst has overridden, with the model''s beside it; confirmed_patterns does not change.';
