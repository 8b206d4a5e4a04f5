-- The model registry: one immutable row per compiled model.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_models (
    version text NOT NULL,
    algorithm text NOT NULL,
    classes text[] NOT NULL,
    feature_names text[] NOT NULL,
    artefact_sha256 text NOT NULL,
    card jsonb NOT NULL,
    metrics jsonb NOT NULL,
    data_window tstzrange NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ml_models_pkey PRIMARY KEY (version),
    -- The version is part of function names, whose length Postgres limits to 63 bytes.
    CONSTRAINT ml_models_version_check CHECK (version ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
    CONSTRAINT ml_models_classes_check CHECK ('win' = ANY (classes) AND cardinality(classes) >= 2),
    CONSTRAINT ml_models_feature_names_check CHECK (cardinality(feature_names) >= 1),
    CONSTRAINT ml_models_artefact_sha256_check CHECK (artefact_sha256 ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE public.ml_models IS 'The model registry: one immutable row per compiled model.';
COMMENT ON COLUMN public.ml_models.classes IS 'Outcome labels in the order of the probabilities that score() returns.';
COMMENT ON COLUMN public.ml_models.feature_names IS 'Catalogue names in the order of the array that score() takes.';
COMMENT ON COLUMN public.ml_models.data_window IS 'Times of the first and last training event.';
