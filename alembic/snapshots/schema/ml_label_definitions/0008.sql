-- What a label means: a row per definition, immutable, so that a label's name says how it was made.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

-- barriers: entry at the open of the bar after the detection bar; win when target_atr * ATR in the event's direction is
--           touched first, loss when stop_atr * ATR against it is (or both in one bar), timeout after horizon bars.
--           stop_atr NULL: there is no stop, and so no loss.
-- range:    win when highest high - lowest low of the horizon bars reaches target_atr * ATR, else timeout; no direction.
-- analyst:  what a person says with ml.set_label().
-- ATR is Wilder's ATR(atr_length) of the detection bar. Names are case-sensitive.
CREATE TABLE public.ml_label_definitions (
    name text NOT NULL,
    kind text NOT NULL DEFAULT 'barriers',
    target_atr double precision,
    stop_atr double precision,
    atr_length integer DEFAULT 100,
    horizon integer DEFAULT 10,
    fills_event boolean NOT NULL DEFAULT false,
    description text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT ml.acting_role(),
    CONSTRAINT ml_label_definitions_pkey PRIMARY KEY (name),
    CONSTRAINT ml_label_definitions_name_check CHECK (name = pg_catalog.btrim(name) AND name <> ''),
    CONSTRAINT ml_label_definitions_kind_check CHECK (kind IN ('barriers', 'range', 'analyst')),
    -- NaN sorts above infinity.
    CONSTRAINT ml_label_definitions_target_atr_check CHECK (target_atr > 0 AND target_atr < 'infinity'),
    CONSTRAINT ml_label_definitions_stop_atr_check CHECK (stop_atr > 0 AND stop_atr < 'infinity'),
    CONSTRAINT ml_label_definitions_atr_length_check CHECK (atr_length IN (14, 100)),
    CONSTRAINT ml_label_definitions_horizon_check CHECK (horizon BETWEEN 1 AND 10000),
    CONSTRAINT ml_label_definitions_parameters_check CHECK (
        (kind = 'analyst' AND pg_catalog.num_nonnulls(target_atr, stop_atr, atr_length, horizon) = 0)
        OR (kind = 'barriers' AND pg_catalog.num_nulls(target_atr, atr_length, horizon) = 0)
        OR (kind = 'range' AND pg_catalog.num_nulls(target_atr, atr_length, horizon) = 0 AND stop_atr IS NULL)
    )
);
COMMENT ON TABLE public.ml_label_definitions IS
    'What a label means: a row per definition, immutable, so that a label''s name says how it was made.';
COMMENT ON COLUMN public.ml_label_definitions.fills_event IS
    'Whether its labels go to the label columns of pattern_events too, where these are free; an analyst''s win over them.';

INSERT INTO public.ml_label_definitions (name, kind, target_atr, stop_atr, atr_length, horizon, fills_event, description)
VALUES
    (
        'TB2', 'barriers', 2, 2, 100, 10, true,
        'Entry at the open of the bar after the detection bar; target and stop 2 Wilder ATR(100) of the detection bar '
        'away from it, in and against the event''s direction; win, loss or, after 10 bars, timeout; a bar that touches '
        'both barriers is a loss. Whether a large enough favourable move comes in time, rather than its direction.'
    ),
    (
        'D1', 'barriers', 1, 1, 14, 10, false,
        'As TB2 with barriers of 1 Wilder ATR(14): close to pure direction, which is near a coin toss on real bars.'
    ),
    (
        'HIT', 'barriers', 1.5, NULL, 100, 10, false,
        'Win when 1.5 Wilder ATR(100) in the event''s direction is touched within 10 bars, else timeout; no stop, so '
        'the way there may be worse than any stop. Mostly volatility, not direction.'
    ),
    (
        'RX', 'range', 3.2, NULL, 100, 10, false,
        'Win when the range of the 10 bars after the detection bar reaches 3.2 Wilder ATR(100), else timeout; it needs '
        'no direction and has no profit or loss. Volatility, not direction.'
    ),
    (
        'analyst', 'analyst', NULL, NULL, NULL, NULL, false,
        'What a person judged the outcome to be; wins over automatic labels of definitions that fill pattern_events.'
    );
