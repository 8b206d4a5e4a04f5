-- The parts in which incoming bars are stored, in order: only bars that are new or differ. A series that grows at its end
-- has slices of some thousand bars; any other one is stored as a whole, because what follows a bar is computed again.
-- Called by: trainer.bars. Calls: nothing. Reads: incoming_bars (temporary), public.price_bars. Writes: nothing.

WITH differing AS MATERIALIZED (
    SELECT i.symbol, i.timeframe, i.ts
    FROM pg_temp.incoming_bars AS i
    LEFT JOIN public.price_bars AS b
        ON b.symbol = i.symbol AND b.timeframe = i.timeframe AND b.ts = i.ts
    WHERE b.ts IS NULL
        OR (b.open, b.high, b.low, b.close, b.volume) IS DISTINCT FROM (i.open, i.high, i.low, i.close, i.volume)
),

series AS (
    SELECT
        d.symbol,
        d.timeframe,
        EXISTS (
            SELECT FROM public.price_bars AS b
            WHERE b.symbol = d.symbol AND b.timeframe = d.timeframe AND b.ts > min(d.ts)
        ) AS goes_on
    FROM differing AS d
    GROUP BY d.symbol, d.timeframe
),

numbered AS (
    SELECT
        d.symbol,
        d.timeframe,
        d.ts,
        CASE
            WHEN NOT s.goes_on
                THEN (row_number() OVER (PARTITION BY d.symbol COLLATE "C", d.timeframe COLLATE "C" ORDER BY d.ts) - 1)
                    / %(size)s
        END AS part
    FROM differing AS d
    INNER JOIN series AS s ON s.symbol = d.symbol AND s.timeframe = d.timeframe
)

SELECT
    n.symbol,
    n.timeframe,
    min(n.ts) AS first_ts,
    max(n.ts) AS last_ts,
    count(*) AS bars
FROM numbered AS n
GROUP BY n.symbol, n.timeframe, n.part
ORDER BY n.symbol COLLATE "C", n.timeframe COLLATE "C", first_ts
