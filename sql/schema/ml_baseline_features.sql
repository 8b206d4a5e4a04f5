-- What a baseline froze of every feature and score: moments, bins with their counts, categories, and a sample.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_baseline_features (
    baseline_id bigint NOT NULL,
    subject text NOT NULL,
    feature text NOT NULL,
    kind text NOT NULL,
    n bigint NOT NULL,
    n_missing bigint NOT NULL,
    n_not_finite bigint NOT NULL,
    mean double precision,
    sd_pop double precision,
    min double precision,
    max double precision,
    edges double precision[],
    counts bigint[],
    categories jsonb,
    sample double precision[],
    CONSTRAINT ml_baseline_features_pkey PRIMARY KEY (baseline_id, subject, feature),
    CONSTRAINT ml_baseline_features_baseline_id_fkey
    FOREIGN KEY (baseline_id) REFERENCES public.ml_baselines (baseline_id),
    CONSTRAINT ml_baseline_features_subject_check CHECK (subject IN ('feature', 'score')),
    CONSTRAINT ml_baseline_features_kind_check CHECK (kind IN ('numeric', 'categorical'))
);
COMMENT ON TABLE public.ml_baseline_features IS
    'What a baseline froze of every feature and score: moments, bins with their counts, categories, and a sample.';
COMMENT ON COLUMN public.ml_baseline_features.n IS 'Finite values; the statistics and the bins are of these.';
COMMENT ON COLUMN public.ml_baseline_features.n_missing IS 'Predictions without a value (NULL).';
COMMENT ON COLUMN public.ml_baseline_features.n_not_finite IS 'Values that are NaN or infinite.';
COMMENT ON COLUMN public.ml_baseline_features.sd_pop IS 'Population standard deviation.';
COMMENT ON COLUMN public.ml_baseline_features.edges IS
    'Edges of bins of equal width by Doane''s rule, closed on the left, the last one on both sides; NULL: categorical.';
COMMENT ON COLUMN public.ml_baseline_features.counts IS 'Values in each bin.';
COMMENT ON COLUMN public.ml_baseline_features.categories IS 'Values by category; NULL: numeric.';
COMMENT ON COLUMN public.ml_baseline_features.sample IS
    'Up to 5,000 of the finite values in ascending order, chosen by the predictions'' ids: for methods that need values.';
