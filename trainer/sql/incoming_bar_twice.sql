-- The first place of a file where a bar is there again, and where it was before.
-- Called by: trainer.bars. Calls: nothing. Reads: incoming_bars (temporary). Writes: nothing.

SELECT counted.place, counted.first_place
FROM (
    SELECT
        i.place,
        min(i.place) OVER series AS first_place,
        row_number() OVER (series ORDER BY i.place) AS occurrence
    FROM pg_temp.incoming_bars AS i
    WINDOW series AS (PARTITION BY i.symbol COLLATE "C", i.timeframe COLLATE "C", i.ts)
) AS counted
WHERE counted.occurrence > 1
ORDER BY counted.place
LIMIT 1
