-- The result of scoring one event: the score columns of pattern_events and why they are what they are.
-- Called by: ml.finish_score, ml.score_pattern_event, ml.score_batch. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TYPE ml.event_score AS (
    ml_confidence_raw double precision,
    ml_confidence double precision,
    blended_confidence double precision,
    prediction_class text,
    fallback_reason text
);
COMMENT ON TYPE ml.event_score IS
    'The result of scoring one event: the score columns of pattern_events and why they are what they are.';
