-- One symbol that has events but is not among the demo's.
-- Called by: trainer.demo. Calls: nothing. Reads: public.pattern_events. Writes: nothing.

SELECT coalesce(e.symbol, 'without a symbol')
FROM public.pattern_events AS e
WHERE NOT coalesce(e.symbol = any(%s), false)
LIMIT 1
