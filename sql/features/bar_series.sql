-- One row per series of bars: the lock under which its indicators are recomputed.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

-- A row and not an advisory lock: a REPEATABLE READ transaction cannot see bars that were committed after its snapshot,
-- and the row makes it fail with a serialization error instead of computing without them.
CREATE TABLE ml.bar_series (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    changed_in xid8 NOT NULL,
    CONSTRAINT bar_series_pkey PRIMARY KEY (symbol, timeframe)
);
COMMENT ON TABLE ml.bar_series IS
    'One row per series of bars: the lock under which its indicators are recomputed.';
COMMENT ON COLUMN ml.bar_series.changed_in IS
    'The last transaction that changed the series; within one, the row is written once.';
