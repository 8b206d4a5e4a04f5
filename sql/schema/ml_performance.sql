-- How good predictions were and are estimated to be, run by run: a row per version, pattern type, kind and metric.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

-- The decision to confirm (blended_confidence at or above threshold) has accuracy, precision, recall, f1,
-- false_positive_rate and false_negative_rate; ml_confidence, as the probability of a win, has the other metrics.
CREATE TABLE public.ml_performance (
    run_at timestamptz NOT NULL,
    model_version text NOT NULL,
    pattern_type text NOT NULL DEFAULT '',
    kind text NOT NULL,
    metric text NOT NULL,
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL,
    predictions bigint NOT NULL,
    labelled bigint NOT NULL,
    value double precision,
    low double precision,
    high double precision,
    baseline double precision,
    lower_limit double precision,
    upper_limit double precision,
    verdict text NOT NULL,
    threshold double precision,
    CONSTRAINT ml_performance_pkey PRIMARY KEY (run_at, model_version, pattern_type, kind, metric),
    CONSTRAINT ml_performance_kind_check CHECK (kind IN ('realised', 'estimated')),
    CONSTRAINT ml_performance_verdict_check CHECK (verdict IN ('ok', 'degraded', 'insufficient_data', 'no_baseline'))
);
COMMENT ON TABLE public.ml_performance IS
    'How good predictions were and are estimated to be, run by run: a row per version, pattern type, kind and metric.';
COMMENT ON COLUMN public.ml_performance.run_at IS 'The time that the run was asked for: its p_at.';
COMMENT ON COLUMN public.ml_performance.pattern_type IS 'Empty: all pattern types together.';
COMMENT ON COLUMN public.ml_performance.kind IS 'realised: on known outcomes; estimated: on predictions that have none yet.';
COMMENT ON COLUMN public.ml_performance.predictions IS 'Events predicted within the window.';
COMMENT ON COLUMN public.ml_performance.labelled IS 'Those whose outcome is known and could no longer become another one.';
COMMENT ON COLUMN public.ml_performance.low IS 'realised: 95 % interval; estimated: 3 sampling errors below.';
COMMENT ON COLUMN public.ml_performance.baseline IS 'The metric on known outcomes of the newest baseline of the version.';
COMMENT ON COLUMN public.ml_performance.lower_limit IS 'baseline less 3 standard errors of the difference.';
COMMENT ON COLUMN public.ml_performance.verdict IS
    'ok, degraded (beyond the limit on the bad side), insufficient_data or no_baseline.';
COMMENT ON COLUMN public.ml_performance.threshold IS 'Threshold of the decision; NULL for metrics of ml_confidence.';
