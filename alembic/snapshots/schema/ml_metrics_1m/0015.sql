-- Counts and histograms of predictions by minute, source, role and version; rows can be merged by adding them up.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_metrics_1m (
    bucket timestamptz NOT NULL,
    source text NOT NULL,
    role text NOT NULL,
    model_version text NOT NULL DEFAULT '',
    predictions bigint NOT NULL,
    attempted bigint NOT NULL,
    used bigint NOT NULL,
    fallbacks bigint NOT NULL,
    errors bigint NOT NULL,
    rescorings bigint NOT NULL,
    cache_hits bigint NOT NULL,
    timed bigint NOT NULL,
    within_target bigint NOT NULL,
    latency_sum_us bigint NOT NULL,
    cold_calls bigint NOT NULL,
    latency_histogram bigint [] NOT NULL,
    cold_latency_histogram bigint [] NOT NULL,
    reasons jsonb NOT NULL,
    ml_confidence_count bigint NOT NULL,
    ml_confidence_sum double precision NOT NULL,
    rule_confidence_count bigint NOT NULL,
    rule_confidence_sum double precision NOT NULL,
    blended_confidence_count bigint NOT NULL,
    blended_confidence_sum double precision NOT NULL,
    ml_confidence_histogram bigint [] NOT NULL,
    rule_confidence_histogram bigint [] NOT NULL,
    blended_confidence_histogram bigint [] NOT NULL,
    CONSTRAINT ml_metrics_1m_pkey PRIMARY KEY (bucket, source, role, model_version)
);
COMMENT ON TABLE public.ml_metrics_1m IS
    'Counts and histograms of predictions by minute, source, role and version; rows can be merged by adding them up.';
COMMENT ON COLUMN public.ml_metrics_1m.bucket IS 'Start of the minute.';
COMMENT ON COLUMN public.ml_metrics_1m.model_version IS 'Empty when no model was asked; unregistered when it is not in ml_models.';
COMMENT ON COLUMN public.ml_metrics_1m.attempted IS 'Predictions that were for ML to make: enabled and in the rollout.';
COMMENT ON COLUMN public.ml_metrics_1m.used IS 'Attempted ones whose score was used.';
COMMENT ON COLUMN public.ml_metrics_1m.fallbacks IS 'Attempted ones that fell back to another score.';
COMMENT ON COLUMN public.ml_metrics_1m.errors IS 'Those that met an error.';
COMMENT ON COLUMN public.ml_metrics_1m.rescorings IS 'Attempted ones that an UPDATE of an event asked for.';
COMMENT ON COLUMN public.ml_metrics_1m.cache_hits IS 'Re-scorings that found the same features and model and kept the score.';
COMMENT ON COLUMN public.ml_metrics_1m.timed IS 'Attempted ones with a latency.';
COMMENT ON COLUMN public.ml_metrics_1m.within_target IS 'Timed ones within ml_settings.latency_target_ms of the day.';
COMMENT ON COLUMN public.ml_metrics_1m.cold_calls IS 'Timed ones that were the first of their version in their session.';
COMMENT ON COLUMN public.ml_metrics_1m.latency_histogram IS 'Timed ones without cold calls, by ml.latency_bucket.';
COMMENT ON COLUMN public.ml_metrics_1m.cold_latency_histogram IS 'Cold calls by ml.latency_bucket.';
COMMENT ON COLUMN public.ml_metrics_1m.reasons IS 'How many by fallback_reason; reasons of decisions (disabled, not_in_rollout) too.';
COMMENT ON COLUMN public.ml_metrics_1m.ml_confidence_histogram IS 'Twenty bins of 0.05, closed on the left, the last one on both sides.';
