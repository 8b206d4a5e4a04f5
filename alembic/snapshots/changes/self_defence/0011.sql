ALTER TABLE public.ml_settings
    ADD COLUMN shadow_percent double precision NOT NULL DEFAULT 100,
    ADD COLUMN canary_percent double precision NOT NULL DEFAULT 0,
    ADD COLUMN breaker_enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN breaker_latency_ms double precision NOT NULL DEFAULT 150,
    ADD COLUMN breaker_error_rate double precision NOT NULL DEFAULT 0.15,
    ADD COLUMN breaker_window interval NOT NULL DEFAULT '5 minutes',
    ADD COLUMN breaker_minimum_calls integer NOT NULL DEFAULT 20,
    ADD COLUMN breaker_cooldown interval NOT NULL DEFAULT '1 minute',
    ADD COLUMN breaker_probes integer NOT NULL DEFAULT 3,
    ADD CONSTRAINT ml_settings_shadow_percent_check CHECK (shadow_percent BETWEEN 0 AND 100),
    ADD CONSTRAINT ml_settings_canary_percent_check CHECK (canary_percent BETWEEN 0 AND 100),
    ADD CONSTRAINT ml_settings_breaker_latency_ms_check CHECK (breaker_latency_ms > 0 AND breaker_latency_ms < 'infinity'),
    ADD CONSTRAINT ml_settings_breaker_error_rate_check CHECK (breaker_error_rate BETWEEN 0 AND 1),
    ADD CONSTRAINT ml_settings_breaker_window_check CHECK (breaker_window > '0'),
    ADD CONSTRAINT ml_settings_breaker_minimum_calls_check CHECK (breaker_minimum_calls BETWEEN 1 AND 1000),
    ADD CONSTRAINT ml_settings_breaker_cooldown_check CHECK (breaker_cooldown > '0'),
    ADD CONSTRAINT ml_settings_breaker_probes_check CHECK (breaker_probes BETWEEN 1 AND 100);
COMMENT ON COLUMN public.ml_settings.shadow_percent IS
    'Share of scored events that the other one of champion and challenger scores as well, for the log alone.';
COMMENT ON COLUMN public.ml_settings.canary_percent IS
    'Share of scored events, chosen by a stable hash of the id, that the challenger scores in the champion''s place.';
COMMENT ON COLUMN public.ml_settings.breaker_latency_ms IS
    'The circuit breaker opens when the 95th percentile of warm calls within breaker_window is above this.';
COMMENT ON COLUMN public.ml_settings.breaker_error_rate IS
    'The circuit breaker opens when a larger share of the calls within breaker_window failed.';
COMMENT ON COLUMN public.ml_settings.breaker_minimum_calls IS 'Fewer calls than this open nothing.';
COMMENT ON COLUMN public.ml_settings.breaker_cooldown IS
    'How long an open circuit breaker keeps ML out before it lets one event per statement through as a probe.';
COMMENT ON COLUMN public.ml_settings.breaker_probes IS 'Good probes in a row that close the circuit breaker.';

ALTER TABLE public.ml_predictions ADD COLUMN cold boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN public.ml_predictions.fallback_reason IS
    'Why the live model''s score was not used; with role rule it is a decision (disabled, not_in_rollout), else a fallback.';
COMMENT ON COLUMN public.ml_predictions.role IS
    'Whose score was acted on: champion, challenger (canary), rule (by decision); shadow rows were not acted on.';
COMMENT ON COLUMN public.ml_predictions.arm IS
    'ml, or rule when outside the rollout; probe when an open circuit breaker let the event through.';
COMMENT ON COLUMN public.ml_predictions.cold IS
    'The first call of this version by its session, which also reads the function: no measure of latency.';

ALTER TABLE public.ml_deployments ALTER COLUMN actor SET DEFAULT ml.acting_role();
COMMENT ON TABLE public.ml_deployments IS
    'Append-only history of every switch: promotion, rollback, rollout step, settings, circuit breaker.';
-- Read for every event: the newest of these rows says whether the circuit breaker is open.
CREATE INDEX ml_deployments_breaker_idx ON public.ml_deployments (id)
WHERE action IN ('breaker_open', 'breaker_close', 'promote', 'rollback');
-- The same for the challenger.
CREATE INDEX ml_deployments_challenger_idx ON public.ml_deployments (id)
WHERE action IN ('challenger', 'challenger_stop');
