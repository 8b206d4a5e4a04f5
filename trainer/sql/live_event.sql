SELECT
    event.symbol,
    event.detected_at,
    event.pattern_type,
    event.rule_confidence,
    event.ml_confidence,
    event.blended_confidence,
    event.id IN (SELECT confirmed.id FROM public.confirmed_patterns AS confirmed),
    (event.ml_metadata #>> '{scoring,latency_us}')::double precision
FROM public.pattern_events AS event
WHERE event.id = %s
