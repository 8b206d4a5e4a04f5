-- Length of a bar per timeframe, and how old the last bar may be before an event counts as having none.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_timeframes (
    timeframe text NOT NULL,
    bar_period interval NOT NULL,
    max_bar_age interval NOT NULL,
    CONSTRAINT ml_timeframes_pkey PRIMARY KEY (timeframe),
    CONSTRAINT ml_timeframes_bar_period_check CHECK (bar_period > '0'),
    CONSTRAINT ml_timeframes_max_bar_age_check CHECK (max_bar_age > '0')
);
COMMENT ON TABLE public.ml_timeframes IS
    'Length of a bar per timeframe, and how old the last bar may be before an event counts as having none.';
COMMENT ON COLUMN public.ml_timeframes.max_bar_age IS
    'Longest time between the end of the last usable bar and detected_at; covers weekends and holidays.';

INSERT INTO public.ml_timeframes (timeframe, bar_period, max_bar_age)
VALUES
    ('1m', '1 minute', '4 days'),
    ('5m', '5 minutes', '4 days'),
    ('15m', '15 minutes', '4 days'),
    ('30m', '30 minutes', '4 days'),
    ('1h', '1 hour', '4 days'),
    ('2h', '2 hours', '4 days'),
    ('4h', '4 hours', '5 days'),
    ('1d', '24 hours', '7 days'),
    ('1w', '168 hours', '14 days'),
    ('1M', '1 month', '45 days');
