-- One row for every event that a backfill could not score because of an error, until a later one can.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_backfill_errors (
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    first_occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts bigint NOT NULL DEFAULT 1,
    model_version text NOT NULL,
    sqlstate text NOT NULL,
    message text NOT NULL,
    resolved_at timestamptz,
    CONSTRAINT ml_backfill_errors_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE public.ml_backfill_errors IS
    'One row for every event that a backfill could not score because of an error, until a later one can.';
COMMENT ON COLUMN public.ml_backfill_errors.occurred_at IS 'Time of the newest attempt; version and error are those of it.';
COMMENT ON COLUMN public.ml_backfill_errors.resolved_at IS
    'When a backfill scored the event, or found it scored or deleted; NULL while the error is open.';

CREATE UNIQUE INDEX ml_backfill_errors_open_idx
    ON public.ml_backfill_errors (event_id) WHERE resolved_at IS NULL;
