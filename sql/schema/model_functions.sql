-- SHA-256 of every compiled function as it was when its model was registered.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE ml.model_functions (
    version text NOT NULL,
    function_name text NOT NULL,
    sha256 text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_functions_pkey PRIMARY KEY (version, function_name),
    CONSTRAINT model_functions_version_fkey
    FOREIGN KEY (version) REFERENCES public.ml_models (version) ON DELETE CASCADE
);
COMMENT ON TABLE ml.model_functions IS
    'SHA-256 of every compiled function as it was when its model was registered.';
