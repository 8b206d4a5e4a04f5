-- The scoring context for one series: with the model of an alias, and the calibrator's part for symbol and timeframe.
-- Called by: ml.score_pattern_event, ml.score_batch. Calls: nothing.
-- Reads: ml.scoring_models, ml_calibrators. Writes: nothing.

-- STABLE, not VOLATILE: the statement's snapshot must hold for every row of a batch.
CREATE OR REPLACE FUNCTION ml.use_model(
    p_context ml.scoring_context,
    p_alias text,
    p_symbol text,
    p_timeframe text
)
RETURNS ml.scoring_context
LANGUAGE plpgsql
STABLE
AS $function$
DECLARE
    v_model ml.scoring_models;
    v_part public.ml_calibrators;
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
    IF v_model.has_calibrator_parts THEN
        SELECT * INTO v_part FROM public.ml_calibrators AS part
        WHERE part.parent_version = v_model.calibrator_version AND part.timeframe = p_timeframe
            AND (part.symbol = p_symbol OR part.symbol IS NULL)
        ORDER BY part.symbol NULLS LAST LIMIT 1;
        IF FOUND THEN
            p_context.calibrator_version := v_part.calibrator_version;
            p_context.calibration_method := v_part.method;
            p_context.calibration_a := v_part.a;
            p_context.calibration_b := v_part.b;
            p_context.knots_x := v_part.knots_x;
            p_context.knots_y := v_part.knots_y;
        END IF;
    END IF;
    RETURN p_context;
END
$function$;
COMMENT ON FUNCTION ml.use_model IS
    'The scoring context for one series: with the model of an alias, and the calibrator''s part for symbol and timeframe.';
REVOKE ALL ON FUNCTION ml.use_model FROM PUBLIC;
