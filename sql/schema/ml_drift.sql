-- Distance of every feature and score from the baseline, with its verdict, a row per run, version and method.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_drift (
    run_at timestamptz NOT NULL,
    model_version text NOT NULL,
    baseline_id bigint NOT NULL,
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL,
    subject text NOT NULL,
    feature text NOT NULL,
    method text NOT NULL,
    value double precision,
    p_value double precision,
    n_baseline bigint NOT NULL,
    n_current bigint NOT NULL,
    missing_rate double precision,
    baseline_missing_rate double precision,
    unseen_rate double precision,
    out_of_range_rate double precision,
    verdict text NOT NULL,
    quality_verdict text NOT NULL,
    not_finite_rate double precision,
    invalid_rate double precision,
    watch_threshold double precision,
    drift_threshold double precision,
    CONSTRAINT ml_drift_pkey PRIMARY KEY (run_at, model_version, subject, feature, method),
    CONSTRAINT ml_drift_baseline_id_fkey FOREIGN KEY (baseline_id) REFERENCES public.ml_baselines (baseline_id),
    CONSTRAINT ml_drift_subject_check CHECK (subject IN ('feature', 'score')),
    CONSTRAINT ml_drift_verdict_check CHECK (verdict IN ('ok', 'watch', 'drift', 'insufficient_data')),
    CONSTRAINT ml_drift_quality_verdict_check CHECK (quality_verdict IN ('ok', 'issue', 'insufficient_data'))
);
COMMENT ON TABLE public.ml_drift IS
    'Distance of every feature and score from the baseline, with its verdict, a row per run, version and method.';
COMMENT ON COLUMN public.ml_drift.run_at IS 'The time that the run was for: the end of its window.';
COMMENT ON COLUMN public.ml_drift.value IS 'Distance or test statistic, as the method defines it; NULL: no values to compare.';
COMMENT ON COLUMN public.ml_drift.p_value IS 'Of methods that test; not corrected for the number of features.';
COMMENT ON COLUMN public.ml_drift.n_current IS 'Finite values in the window.';
COMMENT ON COLUMN public.ml_drift.missing_rate IS 'Share of predictions without a value (NULL).';
COMMENT ON COLUMN public.ml_drift.unseen_rate IS 'Share of values in no category of the baseline; NULL: numeric.';
COMMENT ON COLUMN public.ml_drift.out_of_range_rate IS 'Share of values outside the baseline''s smallest to largest; NULL: categorical.';
COMMENT ON COLUMN public.ml_drift.quality_verdict IS
    'issue: more missing than the baseline explains, NaN or infinite values, unseen categories, or out of range.';
COMMENT ON COLUMN public.ml_drift.not_finite_rate IS 'Share of predictions whose value is NaN or infinite.';
COMMENT ON COLUMN public.ml_drift.invalid_rate IS 'Share of values outside the catalogue''s valid_min to valid_max.';
COMMENT ON COLUMN public.ml_drift.watch_threshold IS 'What the value (of tests: the p-value) was compared with for watch.';
COMMENT ON COLUMN public.ml_drift.drift_threshold IS 'What the value (of tests: the p-value) was compared with for drift.';

CREATE INDEX ml_drift_baseline_id_idx ON public.ml_drift (baseline_id);
