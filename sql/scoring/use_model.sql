-- The scoring context with another model in the champion's place: the challenger, or the previous version.
-- Called by: ml.score_pattern_event. Calls: nothing. Reads: ml.scoring_models. Writes: nothing.

-- STABLE, not VOLATILE: the statement's snapshot must hold for every row of a batch.
CREATE OR REPLACE FUNCTION ml.use_model(p_context ml.scoring_context, p_alias text)
RETURNS ml.scoring_context
LANGUAGE plpgsql
STABLE
AS $function$
DECLARE
    v_model ml.scoring_models;
BEGIN
    SELECT * INTO v_model FROM ml.scoring_models AS model WHERE model.alias = p_alias;
    p_context.alias := v_model.alias;
    p_context.model_version := v_model.version;
    p_context.classes := v_model.classes;
    p_context.calibrator_version := v_model.calibrator_version;
    p_context.calibration_method := v_model.calibration_method;
    p_context.calibration_a := v_model.calibration_a;
    p_context.calibration_b := v_model.calibration_b;
    p_context.knots_x := v_model.knots_x;
    p_context.knots_y := v_model.knots_y;
    RETURN p_context;
END
$function$;
COMMENT ON FUNCTION ml.use_model IS
    'The scoring context with another model in the champion''s place: the challenger, or the previous version.';
REVOKE ALL ON FUNCTION ml.use_model FROM PUBLIC;
