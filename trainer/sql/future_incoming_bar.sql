-- The first place of a file with a bar that cannot be yet. The tolerance is a bar, for those who write its end or the bar
-- that is still open, and five minutes, for clocks that differ.
-- Called by: trainer.bars. Calls: nothing. Reads: incoming_bars (temporary), public.ml_timeframes. Writes: nothing.

SELECT
    i.place,
    i.timeframe,
    to_char(i.ts AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS opening,
    to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS present
FROM pg_temp.incoming_bars AS i
INNER JOIN public.ml_timeframes AS t ON t.timeframe = i.timeframe
WHERE i.ts > clock_timestamp() + t.bar_period + interval '5 minutes'
ORDER BY i.place
LIMIT 1
