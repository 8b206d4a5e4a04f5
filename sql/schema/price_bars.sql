-- OHLCV bars: the only market data that features are computed from.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.price_bars (
    symbol text NOT NULL,
    timeframe text NOT NULL,
    ts timestamptz NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL DEFAULT 0,
    CONSTRAINT price_bars_pkey PRIMARY KEY (symbol, timeframe, ts),
    CONSTRAINT price_bars_ts_check CHECK (ts >= '0001-01-01 00:00:00+00' AND ts < '10000-01-01 00:00:00+00'),
    -- NaN sorts above infinity in Postgres, so the upper bounds refuse it as well.
    CONSTRAINT price_bars_prices_check CHECK (low > 0 AND high < 'infinity'),
    CONSTRAINT price_bars_range_check CHECK (low <= least(open, close) AND high >= greatest(open, close)),
    CONSTRAINT price_bars_volume_check CHECK (volume >= 0 AND volume < 'infinity')
);
COMMENT ON TABLE public.price_bars IS 'OHLCV bars: the only market data that features are computed from.';
COMMENT ON COLUMN public.price_bars.timeframe IS 'Length of a bar; a name in ml_timeframes, for example 1d.';
COMMENT ON COLUMN public.price_bars.ts IS 'Opening time of the bar.';
