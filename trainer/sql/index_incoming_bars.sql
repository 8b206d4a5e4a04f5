-- The order in which incoming bars are stored: series after series, as the triggers of price_bars take them.
-- Called by: trainer.bars. Calls: nothing. Reads: incoming_bars (temporary). Writes: nothing.

CREATE INDEX ON pg_temp.incoming_bars (symbol COLLATE "C", timeframe COLLATE "C", ts);
ANALYZE pg_temp.incoming_bars
