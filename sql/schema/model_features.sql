-- SHA-256 of the definition of every feature of a model as the catalogue had it when the model was registered.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE ml.model_features (
    version text NOT NULL,
    feature_name text NOT NULL,
    sha256 text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_features_pkey PRIMARY KEY (version, feature_name),
    CONSTRAINT model_features_version_fkey
    FOREIGN KEY (version) REFERENCES public.ml_models (version) ON DELETE CASCADE
);
COMMENT ON TABLE ml.model_features IS
    'SHA-256 of the definition of every feature of a model as the catalogue had it when the model was registered.';
