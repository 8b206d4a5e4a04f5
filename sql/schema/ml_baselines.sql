-- Baselines of drift: which predictions of a version the later ones are compared with; the newest of a version counts.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_baselines (
    baseline_id bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL DEFAULT ml.acting_role(),
    reason text,
    model_version text NOT NULL,
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL,
    predictions bigint NOT NULL,
    sources text[] NOT NULL,
    CONSTRAINT ml_baselines_pkey PRIMARY KEY (baseline_id),
    CONSTRAINT ml_baselines_window_check CHECK (window_from < window_to)
);
COMMENT ON TABLE public.ml_baselines IS
    'Baselines of drift: which predictions of a version the later ones are compared with; the newest of a version counts.';
COMMENT ON COLUMN public.ml_baselines.window_to IS 'The window is closed at its start and open at its end.';
COMMENT ON COLUMN public.ml_baselines.sources IS 'The sources of its predictions: live ones, or also backfilled ones.';

CREATE INDEX ml_baselines_model_version_idx ON public.ml_baselines (model_version, baseline_id);
