-- The parts in which incoming bars are stored, in order: a series that only grows at its end in slices of some thousand
-- bars, any other one as a whole, because what follows a changed bar is computed again.
-- Called by: trainer.bars. Calls: nothing. Reads: incoming_bars (temporary), public.price_bars. Writes: nothing.

SELECT
    n.symbol,
    n.timeframe,
    min(n.ts) AS first_ts,
    max(n.ts) AS last_ts,
    count(*) AS bars
FROM (
    SELECT
        i.symbol,
        i.timeframe,
        i.ts,
        CASE
            WHEN NOT s.is_older
                THEN (row_number() OVER (PARTITION BY i.symbol COLLATE "C", i.timeframe COLLATE "C" ORDER BY i.ts) - 1)
                    / %(size)s
        END AS part
    FROM pg_temp.incoming_bars AS i
    INNER JOIN (
        SELECT
            b.symbol,
            b.timeframe,
            EXISTS (
                SELECT FROM public.price_bars AS p
                WHERE p.symbol = b.symbol AND p.timeframe = b.timeframe AND p.ts > min(b.ts)
            ) AS is_older
        FROM pg_temp.incoming_bars AS b
        GROUP BY b.symbol, b.timeframe
    ) AS s ON s.symbol = i.symbol AND s.timeframe = i.timeframe
) AS n
GROUP BY n.symbol, n.timeframe, n.part
ORDER BY n.symbol COLLATE "C", n.timeframe COLLATE "C", first_ts
