-- Append-only history of alerts: a row for every change of state; rows leave by retention alone.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_alert_transitions (
    id bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rule text NOT NULL,
    key text NOT NULL,
    severity text NOT NULL,
    alert_type text,
    from_state text NOT NULL,
    to_state text NOT NULL,
    cause text NOT NULL,
    value double precision,
    threshold double precision,
    observations bigint,
    detail text,
    CONSTRAINT ml_alert_transitions_pkey PRIMARY KEY (id),
    CONSTRAINT ml_alert_transitions_states_check CHECK (from_state <> to_state),
    CONSTRAINT ml_alert_transitions_cause_check CHECK (
        cause IN ('breached', 'recovered', 'no_data', 'rule_disabled', 'settled')
    )
);
COMMENT ON TABLE public.ml_alert_transitions IS
    'Append-only history of alerts: a row for every change of state; rows leave by retention alone.';
COMMENT ON COLUMN public.ml_alert_transitions.occurred_at IS 'End of the minute that changed the state.';
COMMENT ON COLUMN public.ml_alert_transitions.recorded_at IS 'When it was found, by the real clock.';
COMMENT ON COLUMN public.ml_alert_transitions.cause IS
    'breached, recovered, no_data (too long without enough of it), rule_disabled, settled (resolved for an hour).';

CREATE INDEX ml_alert_transitions_occurred_at_idx ON public.ml_alert_transitions (occurred_at);
