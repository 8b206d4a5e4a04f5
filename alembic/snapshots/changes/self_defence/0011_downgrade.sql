DROP INDEX public.ml_deployments_breaker_idx;
DROP INDEX public.ml_deployments_challenger_idx;
ALTER TABLE public.ml_deployments ALTER COLUMN actor SET DEFAULT session_user;
COMMENT ON TABLE public.ml_deployments IS
    'Append-only history of every switch: promote, rollback, rollout step, enable, disable, threshold or weight change.';
ALTER TABLE public.ml_predictions DROP COLUMN cold;
COMMENT ON COLUMN public.ml_predictions.fallback_reason IS
    'Why the rule''s confidence was used; with role rule it is a decision (disabled, not_in_rollout), else a fallback.';
COMMENT ON COLUMN public.ml_predictions.role IS NULL;
COMMENT ON COLUMN public.ml_predictions.arm IS NULL;
ALTER TABLE public.ml_settings
    DROP COLUMN shadow_percent,
    DROP COLUMN canary_percent,
    DROP COLUMN breaker_enabled,
    DROP COLUMN breaker_latency_ms,
    DROP COLUMN breaker_error_rate,
    DROP COLUMN breaker_window,
    DROP COLUMN breaker_minimum_calls,
    DROP COLUMN breaker_cooldown,
    DROP COLUMN breaker_probes;
