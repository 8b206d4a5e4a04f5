-- A temporary table that COPY fills, so that no bar is written before all of its file has been read.
-- Called by: trainer.bars. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TEMPORARY TABLE incoming_bars (
    place bigint NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    ts timestamptz NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL
) ON COMMIT DROP
