-- Every bar of one series that has ended by a given time, in time order: a running bar is not a pattern yet.
-- Called by: trainer.harvest. Calls: nothing. Reads: public.price_bars, public.ml_timeframes. Writes: nothing.

SELECT
    b.ts,
    b.open,
    b.high,
    b.low,
    b.close,
    b.volume
FROM public.price_bars AS b
INNER JOIN public.ml_timeframes AS f ON f.timeframe = b.timeframe
WHERE b.symbol = %(symbol)s
    AND b.timeframe = %(timeframe)s
    AND (b.ts AT TIME ZONE 'UTC') + f.bar_period <= (%(at)s AT TIME ZONE 'UTC')
ORDER BY b.ts
