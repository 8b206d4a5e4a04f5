-- Which model version is champion, challenger and previous; promotion and rollback change these rows only.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_aliases (
    alias text NOT NULL,
    version text NOT NULL,
    calibrator_version text,
    CONSTRAINT ml_aliases_pkey PRIMARY KEY (alias),
    CONSTRAINT ml_aliases_alias_check CHECK (alias IN ('champion', 'challenger', 'previous')),
    CONSTRAINT ml_aliases_version_fkey FOREIGN KEY (version) REFERENCES public.ml_models (version),
    CONSTRAINT ml_aliases_calibrator_version_fkey
    FOREIGN KEY (calibrator_version) REFERENCES public.ml_calibrators (calibrator_version)
);
COMMENT ON TABLE public.ml_aliases IS
    'Which model version is champion, challenger and previous; promotion and rollback change these rows only.';
COMMENT ON COLUMN public.ml_aliases.calibrator_version IS 'NULL: the raw probability is used as it is.';
