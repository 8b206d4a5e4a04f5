-- Champion, challenger and previous version, each with the calibrator it is live with.
-- Called by: ml.scoring_context, ml.use_model, ml.score_shadow. Calls: nothing.
-- Reads: ml_aliases, ml_models, ml_calibrators. Writes: nothing.

CREATE VIEW ml.scoring_models AS
SELECT
    alias.alias,
    model.version,
    model.classes,
    calibrator.calibrator_version,
    calibrator.method AS calibration_method,
    calibrator.a AS calibration_a,
    calibrator.b AS calibration_b,
    calibrator.knots_x,
    calibrator.knots_y,
    EXISTS (
        SELECT FROM public.ml_calibrators AS part WHERE part.parent_version = calibrator.calibrator_version
    ) AS has_calibrator_parts
FROM public.ml_aliases AS alias
JOIN public.ml_models AS model ON model.version = alias.version
LEFT JOIN public.ml_calibrators AS calibrator ON calibrator.calibrator_version = alias.calibrator_version;
COMMENT ON VIEW ml.scoring_models IS
    'Champion, challenger and previous version, each with the calibrator it is live with.';
