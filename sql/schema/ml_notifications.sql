-- Outbox of alerts: a row per channel for every alert that fires or resolves, delivered by trainer notify.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_notifications (
    id bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rule text NOT NULL,
    key text NOT NULL,
    transition text NOT NULL,
    channel text NOT NULL,
    severity text NOT NULL,
    firing_since timestamptz NOT NULL,
    payload jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_at timestamptz,
    abandoned_at timestamptz,
    last_error text,
    CONSTRAINT ml_notifications_pkey PRIMARY KEY (id),
    CONSTRAINT ml_notifications_transition_check CHECK (transition IN ('firing', 'resolved')),
    CONSTRAINT ml_notifications_channel_check CHECK (channel IN ('pagerduty', 'webhook')),
    CONSTRAINT ml_notifications_end_check CHECK (delivered_at IS NULL OR abandoned_at IS NULL)
);
COMMENT ON TABLE public.ml_notifications IS
    'Outbox of alerts: a row per channel for every alert that fires or resolves, delivered by trainer notify.';
COMMENT ON COLUMN public.ml_notifications.firing_since IS 'Start of the firing that both its notifications are about.';
COMMENT ON COLUMN public.ml_notifications.attempts IS 'Deliveries tried so far.';
COMMENT ON COLUMN public.ml_notifications.next_attempt_at IS 'Not tried again before this.';
COMMENT ON COLUMN public.ml_notifications.abandoned_at IS 'When delivery was given up; last_error says why.';

CREATE INDEX ml_notifications_waiting_idx ON public.ml_notifications (channel, rule, key, id)
WHERE delivered_at IS NULL AND abandoned_at IS NULL;
