-- Switches, weights, champion and calibrator as one row: all that scoring needs besides the event.
-- Called by: ml.score_pattern_event, ml.score_batch, ml.backfill. Calls: nothing.
-- Reads: ml_settings, ml_aliases, ml_models, ml_calibrators, ml.owned_objects. Writes: nothing.

CREATE VIEW ml.scoring_context AS
SELECT
    settings.enabled,
    settings.ml_weight,
    settings.rule_weight,
    settings.rollout_percent,
    settings.rollout_salt,
    model.version AS model_version,
    model.classes,
    calibrator.calibrator_version,
    calibrator.method AS calibration_method,
    calibrator.a AS calibration_a,
    calibrator.b AS calibration_b,
    calibrator.knots_x,
    calibrator.knots_y,
    -- A column that the user had before is read, and never filled.
    ARRAY(SELECT owned.name FROM ml.owned_objects AS owned WHERE owned.kind = 'column') AS filled_columns
FROM public.ml_settings AS settings
LEFT JOIN public.ml_aliases AS champion ON champion.alias = 'champion'
LEFT JOIN public.ml_models AS model ON model.version = champion.version
LEFT JOIN public.ml_calibrators AS calibrator ON calibrator.calibrator_version = champion.calibrator_version;
COMMENT ON VIEW ml.scoring_context IS
    'Switches, weights, champion and calibrator as one row: all that scoring needs besides the event.';
