-- How many bars open at a time that no session or time zone explains, and how many before the previous one has ended;
-- the first place of each.
-- Called by: trainer.bars. Calls: nothing. Reads: incoming_bars (temporary), public.ml_timeframes. Writes: nothing.
--
-- Sessions begin on a quarter of an hour, and so do midnights of all time zones. Days and longer may be an hour shorter
-- where clocks are put forward, and so may bars of several hours.

WITH timeframes AS MATERIALIZED (
    SELECT
        t.timeframe,
        CASE WHEN t.bar_period > interval '1 hour' THEN t.bar_period - interval '1 hour' ELSE t.bar_period END AS shortest,
        (
            SELECT max(g.step)
            FROM (VALUES (interval '15 minutes'), ('5 minutes'), ('1 minute'), ('1 second')) AS g (step)
            WHERE mod(extract(epoch FROM t.bar_period), extract(epoch FROM g.step)) = 0
        ) AS step
    FROM public.ml_timeframes AS t
),

bars AS (
    SELECT
        i.place,
        i.timeframe,
        i.ts,
        lag(i.ts) OVER (PARTITION BY i.symbol COLLATE "C", i.timeframe COLLATE "C" ORDER BY i.ts) AS previous
    FROM pg_temp.incoming_bars AS i
)

SELECT
    count(*) FILTER (WHERE date_bin(t.step, b.ts, timestamptz '0001-01-01 00:00:00+00') <> b.ts) AS off_grid,
    min(b.place) FILTER (WHERE date_bin(t.step, b.ts, timestamptz '0001-01-01 00:00:00+00') <> b.ts) AS first_off_grid,
    count(*) FILTER (WHERE b.previous + t.shortest > b.ts) AS overlapping,
    min(b.place) FILTER (WHERE b.previous + t.shortest > b.ts) AS first_overlapping
FROM bars AS b
INNER JOIN timeframes AS t ON t.timeframe = b.timeframe
