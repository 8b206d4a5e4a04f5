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
    CONSTRAINT ml_calibrators_pkey PRIMARY KEY (calibrator_version),
    CONSTRAINT ml_calibrators_model_version_fkey FOREIGN KEY (model_version) REFERENCES public.ml_models (version),
    CONSTRAINT ml_calibrators_method_check CHECK (method IN ('identity', 'sigmoid', 'isotonic')),
    CONSTRAINT ml_calibrators_sigmoid_check CHECK (method <> 'sigmoid' OR (a IS NOT NULL AND b IS NOT NULL)),
    CONSTRAINT ml_calibrators_isotonic_check CHECK (
        method <> 'isotonic' OR (cardinality(knots_x) >= 1 AND cardinality(knots_x) = cardinality(knots_y))
    )
);
COMMENT ON TABLE public.ml_calibrators IS
    'Calibrators: immutable maps from a model''s raw probability of win to a calibrated one.';
COMMENT ON COLUMN public.ml_calibrators.a IS 'Sigmoid: 1 / (1 + exp(a * x + b)) with x the raw probability.';
COMMENT ON COLUMN public.ml_calibrators.knots_x IS 'Isotonic: raw probabilities, strictly increasing.';
COMMENT ON COLUMN public.ml_calibrators.knots_y IS 'Isotonic: calibrated probabilities at knots_x, not decreasing.';

CREATE INDEX ml_calibrators_model_version_idx ON public.ml_calibrators (model_version);
