-- All daily bars of some symbols.
-- Called by: trainer.provenance. Calls: nothing. Reads: public.price_bars. Writes: nothing.

SELECT b.symbol, b.timeframe, b.ts, b.open, b.high, b.low, b.close, b.volume
FROM public.price_bars AS b
WHERE b.symbol = ANY(%s::text[]) AND b.timeframe = '1d'
