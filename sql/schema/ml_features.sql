-- The feature catalogue: name, unit, definition and valid range of every feature.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_features (
    position integer NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    unit text NOT NULL,
    definition text NOT NULL,
    valid_min double precision,
    valid_max double precision,
    bars_needed integer NOT NULL,
    CONSTRAINT ml_features_pkey PRIMARY KEY (name),
    CONSTRAINT ml_features_position_key UNIQUE (position),
    CONSTRAINT ml_features_category_check CHECK (
        category IN ('pattern geometry', 'trend and price action', 'momentum', 'volatility and volume', 'context')
    )
);
COMMENT ON TABLE public.ml_features IS
    'The feature catalogue: name, unit, definition and valid range of every feature.';
COMMENT ON COLUMN public.ml_features.bars_needed IS 'Bars that must exist, the current one included, for a value.';
