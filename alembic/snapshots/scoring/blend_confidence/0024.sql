-- Weighted mean of the ML and the rule confidence; the rule's confidence where ML has none.
-- Called by: ml.finish_score, ml.score_pattern_event. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.blend_confidence(
    p_ml_confidence double precision,
    p_rule_confidence double precision,
    p_ml_weight double precision,
    p_rule_weight double precision
)
RETURNS double precision
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_ml_confidence IS NULL THEN p_rule_confidence
    -- The product of a weight and a number near the smallest double would be an underflow, which is an error.
    ELSE (
        p_ml_weight * CASE WHEN p_ml_confidence < 1e-200 THEN 0 ELSE p_ml_confidence END
        + p_rule_weight * CASE WHEN p_rule_confidence < 1e-200 THEN 0 ELSE p_rule_confidence END
    ) / (p_ml_weight + p_rule_weight)
END;
COMMENT ON FUNCTION ml.blend_confidence IS
    'Weighted mean of the ML and the rule confidence; the rule''s confidence where ML has none.';
