-- One row for every prediction that could not be logged, with the error; the event itself keeps its score.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_log_drops (
    id bigint GENERATED ALWAYS AS IDENTITY,
    dropped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_id uuid NOT NULL,
    prediction_id uuid,
    error_sqlstate text NOT NULL,
    error_message text NOT NULL,
    CONSTRAINT ml_log_drops_pkey PRIMARY KEY (id),
    -- A later UPDATE in the same transaction meets the same lost prediction again.
    CONSTRAINT ml_log_drops_prediction_id_key UNIQUE (prediction_id)
);
COMMENT ON TABLE public.ml_log_drops IS
    'One row for every prediction that could not be logged, with the error; the event itself keeps its score.';
