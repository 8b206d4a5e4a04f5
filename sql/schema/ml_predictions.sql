-- Append-only log of every scoring of every event, in weekly partitions; each row alone can replay its score.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_predictions (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    event_id uuid NOT NULL,
    predicted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    source text NOT NULL,
    model_version text,
    calibrator_version text,
    role text NOT NULL,
    arm text,
    ml_confidence_raw double precision,
    ml_confidence double precision,
    rule_confidence double precision,
    blended_confidence double precision,
    prediction_class text,
    features double precision[],
    contributions jsonb,
    feature_hash text,
    cache_hit boolean NOT NULL DEFAULT false,
    ml_weight double precision,
    rule_weight double precision,
    fallback_reason text,
    error_sqlstate text,
    latency_us integer,
    cold boolean NOT NULL DEFAULT false,
    CONSTRAINT ml_predictions_pkey PRIMARY KEY (id, predicted_at),
    CONSTRAINT ml_predictions_source_check CHECK (source IN ('insert', 'update', 'backfill', 'external')),
    CONSTRAINT ml_predictions_role_check CHECK (role IN ('champion', 'challenger', 'shadow', 'rule'))
) PARTITION BY RANGE (predicted_at);
COMMENT ON TABLE public.ml_predictions IS
    'Append-only log of every scoring of every event, in weekly partitions; each row alone can replay its score.';
COMMENT ON COLUMN public.ml_predictions.features IS 'Feature values in the order of the model''s feature_names.';
COMMENT ON COLUMN public.ml_predictions.fallback_reason IS
    'Why the live model''s score was not used; with role rule it is a decision (disabled, not_in_rollout), else a fallback.';
COMMENT ON COLUMN public.ml_predictions.role IS
    'Whose score was acted on: champion, challenger (canary), rule (by decision); shadow rows were not acted on.';
COMMENT ON COLUMN public.ml_predictions.arm IS
    'ml, or rule when outside the rollout; probe when an open circuit breaker let the event through.';
COMMENT ON COLUMN public.ml_predictions.cold IS
    'The first call of this version by its session, which also reads the function: no measure of latency.';
COMMENT ON COLUMN public.ml_predictions.cache_hit IS 'An UPDATE found the same features and model and kept the score.';

CREATE INDEX ml_predictions_event_id_predicted_at_idx ON public.ml_predictions (event_id, predicted_at);
CREATE INDEX ml_predictions_predicted_at_idx ON public.ml_predictions (predicted_at);
