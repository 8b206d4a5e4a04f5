-- Running state of the recursions at every bar, and the bar itself: what the next bar's indicators start from.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

-- Narrow, because up to 250 rows of it are read for each new bar; events read ml.bar_indicators alone.
CREATE TABLE ml.bar_states (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    ts timestamptz NOT NULL,
    bar_number integer NOT NULL,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    close_change double precision,
    log_return double precision,
    true_range double precision,
    typical_price double precision,
    money_flow double precision,
    close_run double precision,
    ema_12 double precision,
    ema_26 double precision,
    macd_signal double precision,
    average_gain_14 double precision,
    average_loss_14 double precision,
    rsi_14 double precision,
    plus_dm_14 double precision,
    minus_dm_14 double precision,
    true_range_14 double precision,
    adx_14 double precision,
    atr_14 double precision,
    atr_100 double precision,
    CONSTRAINT bar_states_pkey PRIMARY KEY (symbol, timeframe, ts)
);
COMMENT ON TABLE ml.bar_states IS
    'Running state of the recursions at every bar, and the bar itself: what the next bar''s indicators start from.';
COMMENT ON COLUMN ml.bar_states.bar_number IS
    'Number of bars of the series up to this one; 0 for a bar whose values are outside what can be computed with.';
