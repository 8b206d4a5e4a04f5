-- From a model's class probabilities to the event's score: check, calibrate, blend, name the most probable class.
-- Called by: ml.score_pattern_event, ml.score_batch. Calls: ml.calibrate, ml.blend_confidence.
-- Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.finish_score(
    p_context ml.scoring_context,
    p_probabilities double precision[],
    p_rule_confidence double precision
)
RETURNS ml.event_score
LANGUAGE plpgsql
STABLE PARALLEL SAFE
AS $function$
DECLARE
    v_score ml.event_score;
    v_probability double precision;
    v_highest double precision := -1;
    v_class integer := 0;
BEGIN
    IF pg_catalog.cardinality(p_probabilities) IS DISTINCT FROM pg_catalog.cardinality(p_context.classes) THEN
        v_score.fallback_reason := 'score_invalid';
    ELSE
        FOREACH v_probability IN ARRAY p_probabilities LOOP
            v_class := v_class + 1;
            -- NaN and infinity sort above 1, so this also refuses them; NULL is neither.
            IF v_probability BETWEEN 0 AND 1 THEN
                IF v_probability > v_highest THEN
                    v_highest := v_probability;
                    v_score.prediction_class := p_context.classes[v_class];
                END IF;
                IF p_context.classes[v_class] = 'win' THEN
                    v_score.ml_confidence_raw := v_probability;
                END IF;
            ELSE
                v_score.fallback_reason := 'score_invalid';
            END IF;
        END LOOP;
    END IF;

    IF v_score.fallback_reason IS NULL THEN
        v_score.ml_confidence := ml.calibrate(
            v_score.ml_confidence_raw, p_context.calibration_method,
            p_context.calibration_a, p_context.calibration_b, p_context.knots_x, p_context.knots_y
        );
    ELSE
        v_score.ml_confidence_raw := NULL;
        v_score.prediction_class := NULL;
    END IF;

    IF p_rule_confidence BETWEEN 0 AND 1 THEN
        v_score.blended_confidence := ml.blend_confidence(
            v_score.ml_confidence, p_rule_confidence, p_context.ml_weight, p_context.rule_weight
        );
    ELSE
        v_score.fallback_reason := 'rule_confidence_invalid';
    END IF;
    RETURN v_score;
END
$function$;
COMMENT ON FUNCTION ml.finish_score IS
    'From a model''s class probabilities to the event''s score: check, calibrate, blend, name the most probable class.';
