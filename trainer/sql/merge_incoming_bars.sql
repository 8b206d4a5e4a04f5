-- Insert new bars of a part, correct those that differ, leave the others untouched, and count the first two kinds.
-- Called by: trainer.bars. Calls: nothing. Reads: incoming_bars (temporary). Writes: public.price_bars.

WITH written AS (
    INSERT INTO public.price_bars AS b (symbol, timeframe, ts, open, high, low, close, volume)
    SELECT i.symbol, i.timeframe, i.ts, i.open, i.high, i.low, i.close, i.volume
    FROM pg_temp.incoming_bars AS i
    WHERE (i.symbol COLLATE "C", i.timeframe COLLATE "C", i.ts) >= (%s::text, %s::text, %s::timestamptz)
        AND (i.symbol COLLATE "C", i.timeframe COLLATE "C", i.ts) <= (%s::text, %s::text, %s::timestamptz)
    ORDER BY i.symbol, i.timeframe, i.ts
    ON CONFLICT (symbol, timeframe, ts) DO UPDATE
        SET open = excluded.open,
            high = excluded.high,
            low = excluded.low,
            close = excluded.close,
            volume = excluded.volume
        WHERE (b.open, b.high, b.low, b.close, b.volume)
            IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume)
    -- A row version that replaces another one carries the number of the transaction that locked it.
    RETURNING b.xmax = 0 AS is_new
)

SELECT
    count(*) FILTER (WHERE w.is_new) AS new_bars,
    count(*) FILTER (WHERE NOT w.is_new) AS changed_bars
FROM written AS w
