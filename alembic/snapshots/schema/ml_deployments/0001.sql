-- Append-only history of every switch: promote, rollback, rollout step, enable, disable, threshold or weight change.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_deployments (
    id bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL,
    version text,
    previous_version text,
    calibrator_version text,
    actor text NOT NULL DEFAULT session_user,
    reason text,
    details jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT ml_deployments_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE public.ml_deployments IS
    'Append-only history of every switch: promote, rollback, rollout step, enable, disable, threshold or weight change.';
COMMENT ON COLUMN public.ml_deployments.details IS 'Changed settings as {"name": {"old": ..., "new": ...}}, or gate results.';
