-- One bar of the database that is not exactly one of the demo's, which are in incoming_bars.
-- Called by: trainer.demo. Calls: nothing. Reads: public.price_bars, incoming_bars (temporary). Writes: nothing.

SELECT
    b.symbol,
    b.timeframe,
    b.ts,
    EXISTS (
        SELECT FROM pg_temp.incoming_bars AS i
        WHERE (i.symbol, i.timeframe, i.ts) = (b.symbol, b.timeframe, b.ts)
    ) AS would_be_overwritten
FROM public.price_bars AS b
WHERE NOT EXISTS (
    SELECT FROM pg_temp.incoming_bars AS i
    WHERE (i.symbol, i.timeframe, i.ts) = (b.symbol, b.timeframe, b.ts)
        AND (i.open, i.high, i.low, i.close, i.volume) IS NOT DISTINCT FROM (b.open, b.high, b.low, b.close, b.volume)
)
LIMIT 1
