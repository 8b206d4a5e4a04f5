-- What predictions achieved on the outcomes known when a baseline was set: a row per pattern type and metric; immutable.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_baseline_performance (
    baseline_id bigint NOT NULL,
    pattern_type text NOT NULL DEFAULT '',
    metric text NOT NULL,
    value double precision NOT NULL,
    standard_error double precision NOT NULL,
    n bigint NOT NULL,
    sampling_deviation double precision,
    threshold double precision,
    ml_share double precision,
    CONSTRAINT ml_baseline_performance_pkey PRIMARY KEY (baseline_id, pattern_type, metric),
    CONSTRAINT ml_baseline_performance_baseline_id_fkey FOREIGN KEY (baseline_id) REFERENCES public.ml_baselines (baseline_id)
);
COMMENT ON TABLE public.ml_baseline_performance IS
    'What predictions achieved on the outcomes known when a baseline was set: a row per pattern type and metric; immutable.';
COMMENT ON COLUMN public.ml_baseline_performance.pattern_type IS 'Empty: all pattern types together.';
COMMENT ON COLUMN public.ml_baseline_performance.n IS 'Events with a known outcome.';
COMMENT ON COLUMN public.ml_baseline_performance.sampling_deviation IS
    'Sampling error of an estimate on m events, times the square root of m; NULL: not known, or the metric has no estimate.';
COMMENT ON COLUMN public.ml_baseline_performance.threshold IS
    'Threshold of the decision; with another one, or other weights, decisions are not compared. NULL: of ml_confidence.';
COMMENT ON COLUMN public.ml_baseline_performance.ml_share IS 'Share of ml_confidence in the blend that was decided on.';
