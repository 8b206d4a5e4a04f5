-- Append-only record of every gate of every promotion, and of every check that was asked for.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_gate_results (
    id bigint GENERATED ALWAYS AS IDENTITY,
    checked_at timestamptz NOT NULL DEFAULT now(),
    version text NOT NULL,
    calibrator_version text,
    action text NOT NULL,
    gate text NOT NULL,
    passed boolean NOT NULL,
    blocking boolean NOT NULL,
    value double precision,
    threshold double precision,
    detail text NOT NULL,
    deployment_id bigint,
    actor text NOT NULL DEFAULT ml.acting_role(),
    CONSTRAINT ml_gate_results_pkey PRIMARY KEY (id),
    CONSTRAINT ml_gate_results_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES public.ml_deployments (id)
);
COMMENT ON TABLE public.ml_gate_results IS
    'Append-only record of every gate of every promotion, and of every check that was asked for.';
COMMENT ON COLUMN public.ml_gate_results.deployment_id IS 'The promotion that the gates were checked for; NULL: a check alone.';

CREATE INDEX ml_gate_results_deployment_id_idx ON public.ml_gate_results (deployment_id);
CREATE INDEX ml_gate_results_version_checked_at_idx ON public.ml_gate_results (version, checked_at);
