-- Append-only history of every switch: promotion, rollback, rollout step, settings, circuit breaker.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_deployments (
    id bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    action text NOT NULL,
    version text,
    previous_version text,
    calibrator_version text,
    actor text NOT NULL DEFAULT ml.acting_role(),
    reason text,
    details jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT ml_deployments_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE public.ml_deployments IS
    'Append-only history of every switch: promotion, rollback, rollout step, settings, circuit breaker.';
COMMENT ON COLUMN public.ml_deployments.details IS 'Changed settings as {"name": {"old": ..., "new": ...}}, or gate results.';

-- Read for every event: the newest of these rows says whether the circuit breaker is open.
CREATE INDEX ml_deployments_breaker_idx ON public.ml_deployments (id)
WHERE action IN ('breaker_open', 'breaker_close', 'promote', 'rollback');
-- The same for the challenger.
CREATE INDEX ml_deployments_challenger_idx ON public.ml_deployments (id)
WHERE action IN ('challenger', 'challenger_stop');
