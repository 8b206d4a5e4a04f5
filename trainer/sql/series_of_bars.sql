-- The series that price_bars holds, with the number of their bars.
-- Called by: trainer.harvest. Calls: nothing. Reads: public.price_bars, public.ml_timeframes. Writes: nothing.

SELECT
    b.symbol,
    b.timeframe,
    count(*) AS bars
FROM public.price_bars AS b
INNER JOIN public.ml_timeframes AS f ON f.timeframe = b.timeframe
WHERE (%(symbols)s::text[] IS NULL OR b.symbol = any(%(symbols)s::text[]))
    AND (%(timeframes)s::text[] IS NULL OR b.timeframe = any(%(timeframes)s::text[]))
GROUP BY b.symbol, b.timeframe
ORDER BY b.symbol, b.timeframe
