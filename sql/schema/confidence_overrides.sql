-- What analysts said an event's confidence should be, and why; the newest row of an event holds, NULL withdraws.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.confidence_overrides (
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid NOT NULL,
    confidence double precision,
    reason text NOT NULL,
    overridden_by text NOT NULL DEFAULT ml.acting_role(),
    recorded_by text NOT NULL DEFAULT ml.acting_role(),
    overridden_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What was shown at the time.
    model_version text,
    blended_confidence double precision,
    CONSTRAINT confidence_overrides_pkey PRIMARY KEY (id),
    CONSTRAINT confidence_overrides_confidence_check CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT confidence_overrides_reason_check CHECK (pg_catalog.btrim(reason) <> '')
);
CREATE INDEX confidence_overrides_event_id_idx ON public.confidence_overrides (event_id, id);
COMMENT ON TABLE public.confidence_overrides IS
    'What analysts said an event''s confidence should be, and why; the newest row of an event holds, NULL withdraws.';
COMMENT ON COLUMN public.confidence_overrides.overridden_by IS
    'Who judged; recorded_by is the login role of the session that wrote it down.';
