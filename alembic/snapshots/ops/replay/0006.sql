-- Computes a logged score once more from its row in the log alone, and says whether every number is the same.
-- Called by: people and applications. Calls: ml.finish_score, ml_generated.score_<version>.
-- Reads: ml_predictions, ml_models, ml_calibrators, pg_catalog. Writes: nothing.

-- Key equal is null where there is nothing to compare; reason then says why.
CREATE OR REPLACE FUNCTION ml.replay(p_prediction_id uuid)
RETURNS jsonb
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_prediction public.ml_predictions;
    v_context ml.scoring_context;
    v_calibrator public.ml_calibrators;
    v_probabilities double precision[];
    v_score ml.event_score;
    v_equal boolean;
    v_reason text;
BEGIN
    SELECT * INTO v_prediction FROM public.ml_predictions AS prediction WHERE prediction.id = p_prediction_id;
    IF NOT FOUND THEN
        v_reason := 'there is no such prediction in the log';
    ELSIF v_prediction.features IS NULL THEN
        v_reason := 'the row holds no score of a model';
    ELSIF pg_catalog.to_regproc(pg_catalog.format('ml_generated.%I', 'score_' || v_prediction.model_version)) IS NULL THEN
        v_reason := pg_catalog.format('model %s is not installed in this database', v_prediction.model_version);
    ELSE
        SELECT model.version, model.classes INTO v_context.model_version, v_context.classes
        FROM public.ml_models AS model WHERE model.version = v_prediction.model_version;
        SELECT * INTO v_calibrator FROM public.ml_calibrators AS calibrator
        WHERE calibrator.calibrator_version = v_prediction.calibrator_version;
        v_context.calibration_method := v_calibrator.method;
        v_context.calibration_a := v_calibrator.a;
        v_context.calibration_b := v_calibrator.b;
        v_context.knots_x := v_calibrator.knots_x;
        v_context.knots_y := v_calibrator.knots_y;
        v_context.ml_weight := v_prediction.ml_weight;
        v_context.rule_weight := v_prediction.rule_weight;
        EXECUTE pg_catalog.format('SELECT ml_generated.%I($1)', 'score_' || v_prediction.model_version)
        INTO v_probabilities USING v_prediction.features;
        v_score := ml.finish_score(v_context, v_probabilities, v_prediction.rule_confidence);
        v_equal := v_score.ml_confidence_raw IS NOT DISTINCT FROM v_prediction.ml_confidence_raw
            AND v_score.ml_confidence IS NOT DISTINCT FROM v_prediction.ml_confidence
            AND v_score.blended_confidence IS NOT DISTINCT FROM v_prediction.blended_confidence
            AND v_score.prediction_class IS NOT DISTINCT FROM v_prediction.prediction_class;
    END IF;
    RETURN pg_catalog.jsonb_build_object(
        'prediction_id', p_prediction_id,
        'event_id', v_prediction.event_id,
        'model_version', v_prediction.model_version,
        'calibrator_version', v_prediction.calibrator_version,
        'equal', v_equal,
        'reason', v_reason,
        'logged', CASE WHEN v_equal IS NOT NULL THEN pg_catalog.jsonb_build_object(
            'ml_confidence_raw', v_prediction.ml_confidence_raw, 'ml_confidence', v_prediction.ml_confidence,
            'blended_confidence', v_prediction.blended_confidence, 'prediction_class', v_prediction.prediction_class) END,
        'replayed', CASE WHEN v_equal IS NOT NULL THEN pg_catalog.jsonb_build_object(
            'ml_confidence_raw', v_score.ml_confidence_raw, 'ml_confidence', v_score.ml_confidence,
            'blended_confidence', v_score.blended_confidence, 'prediction_class', v_score.prediction_class) END
    );
END
$function$;
COMMENT ON FUNCTION ml.replay IS
    'Computes a logged score once more from its row in the log alone, and says whether every number is the same.';
REVOKE ALL ON FUNCTION ml.replay FROM PUBLIC;
