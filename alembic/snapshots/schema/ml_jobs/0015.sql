-- One row for each recurring job: when it last ran and what it reported; the row roll_up says how far the roll-ups are.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_jobs (
    job text NOT NULL,
    last_run_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    runs bigint NOT NULL DEFAULT 0,
    report jsonb,
    last_error text,
    rolled_up_until timestamptz,
    final_until timestamptz,
    minutes_from timestamptz,
    checkpoint_at timestamptz,
    checkpoint_xid xid8,
    CONSTRAINT ml_jobs_pkey PRIMARY KEY (job),
    CONSTRAINT ml_jobs_job_check CHECK (job IN ('roll_up', 'tick', 'nightly', 'retention'))
);
COMMENT ON TABLE public.ml_jobs IS
    'One row for each recurring job: when it last ran and what it reported; the row roll_up says how far the roll-ups are.';
COMMENT ON COLUMN public.ml_jobs.last_run_at IS 'p_at of the last run: the time that the run was for.';
COMMENT ON COLUMN public.ml_jobs.started_at IS 'When the last run started, by the server''s clock.';
COMMENT ON COLUMN public.ml_jobs.finished_at IS 'When the last run ended, by the server''s clock.';
COMMENT ON COLUMN public.ml_jobs.last_error IS 'What failed in the last run; NULL when nothing did.';
COMMENT ON COLUMN public.ml_jobs.rolled_up_until IS
    'Readers take ml_metrics_1m and ml_metrics_1h before this time and count the log from it on.';
COMMENT ON COLUMN public.ml_jobs.final_until IS 'No running transaction can add a prediction before this time.';
COMMENT ON COLUMN public.ml_jobs.minutes_from IS 'The first minute that ml_metrics_1m keeps; a full hour.';
COMMENT ON COLUMN public.ml_jobs.checkpoint_at IS
    'Predictions before this time are all visible once every transaction below checkpoint_xid has ended.';
COMMENT ON COLUMN public.ml_jobs.checkpoint_xid IS 'A transaction id taken at checkpoint_at: whoever scored before it has a lower one.';
