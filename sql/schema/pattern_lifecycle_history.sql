-- Status changes of an event, with the prediction and the outcome it had at that time.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.pattern_lifecycle_history (
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    old_status text,
    new_status text,
    model_version text,
    ml_confidence double precision,
    blended_confidence double precision,
    outcome_label text,
    latency_us integer,
    CONSTRAINT pattern_lifecycle_history_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE public.pattern_lifecycle_history IS
    'Status changes of an event, with the prediction and the outcome it had at that time.';

CREATE INDEX pattern_lifecycle_history_event_id_idx ON public.pattern_lifecycle_history (event_id);
