-- The state of every alert, a row per rule and key, as of the last minute that was evaluated.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_alerts (
    rule text NOT NULL,
    key text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'normal',
    pending_since timestamptz,
    firing_since timestamptz,
    resolved_at timestamptz,
    last_value double precision,
    last_evaluated_at timestamptz NOT NULL,
    last_known_at timestamptz,
    last_count bigint,
    last_threshold double precision,
    last_detail text,
    last_error text,
    breached_minutes integer NOT NULL DEFAULT 0,
    notified_at timestamptz,
    CONSTRAINT ml_alerts_pkey PRIMARY KEY (rule, key),
    CONSTRAINT ml_alerts_state_check CHECK (state IN ('normal', 'pending', 'firing', 'resolved'))
);
COMMENT ON TABLE public.ml_alerts IS
    'The state of every alert, a row per rule and key, as of the last minute that was evaluated.';
COMMENT ON COLUMN public.ml_alerts.key IS 'The model version, of rules that look at each; else empty.';
COMMENT ON COLUMN public.ml_alerts.pending_since IS 'End of the first minute beyond the threshold; NULL unless pending or firing.';
COMMENT ON COLUMN public.ml_alerts.last_evaluated_at IS 'End of the last minute that was evaluated, with or without enough data.';
COMMENT ON COLUMN public.ml_alerts.last_known_at IS 'End of the last minute that had enough data to be judged.';
COMMENT ON COLUMN public.ml_alerts.last_error IS 'Why the last evaluation failed; NULL: it did not.';
COMMENT ON COLUMN public.ml_alerts.breached_minutes IS 'Minutes in a row beyond the threshold; those without enough data are not counted.';
COMMENT ON COLUMN public.ml_alerts.notified_at IS 'When the notification of this firing was written; NULL: not yet, or silenced.';
