-- Calibrators: immutable maps from a model's raw probability of win to a calibrated one.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_calibrators (
    calibrator_version text NOT NULL,
    model_version text NOT NULL,
    method text NOT NULL,
    a double precision,
    b double precision,
    knots_x double precision[],
    knots_y double precision[],
    card jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    parent_version text,
    symbol text,
    timeframe text,
    CONSTRAINT ml_calibrators_pkey PRIMARY KEY (calibrator_version),
    CONSTRAINT ml_calibrators_model_version_fkey FOREIGN KEY (model_version) REFERENCES public.ml_models (version),
    CONSTRAINT ml_calibrators_method_check CHECK (method IN ('identity', 'sigmoid', 'isotonic')),
    CONSTRAINT ml_calibrators_sigmoid_check CHECK (method <> 'sigmoid' OR (a IS NOT NULL AND b IS NOT NULL)),
    CONSTRAINT ml_calibrators_isotonic_check CHECK (
        method <> 'isotonic' OR (cardinality(knots_x) >= 1 AND cardinality(knots_x) = cardinality(knots_y))
    ),
    CONSTRAINT ml_calibrators_model_key UNIQUE (calibrator_version, model_version),
    -- A part belongs to the same model as the whole.
    CONSTRAINT ml_calibrators_parent_version_fkey FOREIGN KEY (parent_version, model_version)
    REFERENCES public.ml_calibrators (calibrator_version, model_version),
    CONSTRAINT ml_calibrators_part_check CHECK (
        (parent_version IS NULL) = (timeframe IS NULL)
        AND (symbol IS NULL OR timeframe IS NOT NULL)
        AND parent_version IS DISTINCT FROM calibrator_version
    )
);
COMMENT ON TABLE public.ml_calibrators IS
    'Calibrators: immutable maps from a model''s raw probability of win to a calibrated one.';
COMMENT ON COLUMN public.ml_calibrators.a IS 'Sigmoid: 1 / (1 + exp(a * x + b)) with x the raw probability.';
COMMENT ON COLUMN public.ml_calibrators.knots_x IS 'Isotonic: raw probabilities, strictly increasing.';
COMMENT ON COLUMN public.ml_calibrators.knots_y IS 'Isotonic: calibrated probabilities at knots_x, not decreasing.';
COMMENT ON COLUMN public.ml_calibrators.parent_version IS
    'The calibrator that this one is a part of, for one timeframe and perhaps one symbol; NULL: a whole calibrator.';
COMMENT ON COLUMN public.ml_calibrators.symbol IS 'NULL in a part: every symbol of the timeframe without a part of its own.';

CREATE INDEX ml_calibrators_model_version_idx ON public.ml_calibrators (model_version);
-- Scoring looks for the parts of the live calibrator here.
CREATE UNIQUE INDEX ml_calibrators_part_idx
ON public.ml_calibrators (parent_version, timeframe, symbol) NULLS NOT DISTINCT WHERE parent_version IS NOT NULL;
