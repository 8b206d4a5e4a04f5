-- The one row of switches and weights that scoring reads; changed by UPDATE, in effect at commit.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_settings (
    singleton boolean NOT NULL DEFAULT true,
    enabled boolean NOT NULL DEFAULT false,
    ml_weight double precision NOT NULL DEFAULT 0.6,
    rule_weight double precision NOT NULL DEFAULT 0.4,
    confidence_threshold double precision NOT NULL DEFAULT 0.55,
    rollout_percent double precision NOT NULL DEFAULT 100,
    rollout_salt text NOT NULL DEFAULT 'pattern-confidence',
    latency_target_ms double precision NOT NULL DEFAULT 75,
    fallback_warning_rate double precision NOT NULL DEFAULT 0.10,
    error_warning_rate double precision NOT NULL DEFAULT 0.05,
    CONSTRAINT ml_settings_pkey PRIMARY KEY (singleton),
    CONSTRAINT ml_settings_singleton_check CHECK (singleton),
    -- NaN sorts above infinity, so a bound below infinity refuses it.
    CONSTRAINT ml_settings_weights_check CHECK (
        ml_weight >= 0 AND rule_weight >= 0 AND ml_weight + rule_weight > 0 AND ml_weight + rule_weight < 'infinity'
    ),
    CONSTRAINT ml_settings_confidence_threshold_check CHECK (confidence_threshold BETWEEN 0 AND 1),
    CONSTRAINT ml_settings_rollout_percent_check CHECK (rollout_percent BETWEEN 0 AND 100),
    CONSTRAINT ml_settings_latency_target_ms_check CHECK (latency_target_ms > 0 AND latency_target_ms < 'infinity'),
    CONSTRAINT ml_settings_fallback_warning_rate_check CHECK (fallback_warning_rate BETWEEN 0 AND 1),
    CONSTRAINT ml_settings_error_warning_rate_check CHECK (error_warning_rate BETWEEN 0 AND 1)
);
COMMENT ON TABLE public.ml_settings IS
    'The one row of switches and weights that scoring reads; changed by UPDATE, in effect at commit.';
COMMENT ON COLUMN public.ml_settings.enabled IS 'False on a fresh install: every event keeps its rule confidence.';
COMMENT ON COLUMN public.ml_settings.rollout_percent IS 'Share of events, chosen by a stable hash of the id, that ML scores.';

INSERT INTO public.ml_settings DEFAULT VALUES;
