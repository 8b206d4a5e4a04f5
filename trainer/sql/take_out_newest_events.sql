DELETE FROM public.pattern_events
WHERE id IN (
    SELECT id FROM public.pattern_events
    WHERE metadata ->> 'source' = 'trainer harvest'
    ORDER BY detected_at DESC, id
    LIMIT %s
)
RETURNING id, symbol, timeframe, detected_at, pattern_type, rule_confidence, metadata::text
