INSERT INTO public.pattern_events (id, symbol, timeframe, detected_at, pattern_type, rule_confidence, metadata)
VALUES (%s, %s, %s, %s, %s, %s, %s)
