-- The bars up to the one that an event was detected on, and those of its window that have ended, in order.
-- Called by: trainer.annotate. Calls: nothing. Reads: public.price_bars, public.ml_timeframes. Writes: nothing.

(
    SELECT b.ts, b.open, b.high, b.low, b.close
    FROM public.price_bars AS b
    WHERE b.symbol = %(symbol)s AND b.timeframe = %(timeframe)s AND b.ts <= %(bar_ts)s
    ORDER BY b.ts DESC
    LIMIT %(before)s
)
UNION ALL
(
    SELECT b.ts, b.open, b.high, b.low, b.close
    FROM public.price_bars AS b
    INNER JOIN public.ml_timeframes AS f ON f.timeframe = b.timeframe
    WHERE b.symbol = %(symbol)s AND b.timeframe = %(timeframe)s AND b.ts > %(bar_ts)s AND b.ts + f.bar_period <= now()
    ORDER BY b.ts
    LIMIT %(after)s
)
ORDER BY ts
