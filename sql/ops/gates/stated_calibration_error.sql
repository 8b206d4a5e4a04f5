-- The calibration error that the registry states for a version with a calibrator, with its interval and where it stands.
-- Called by: ml.check_quality. Calls: ml.read_figure. Reads: ml_models, ml_calibrators. Writes: nothing.

-- The model's card speaks of the calibrator that the model was registered with, its first one; a later one has its own
-- card, and without figures in it nothing is known about it.
CREATE OR REPLACE FUNCTION ml.stated_calibration_error(
    p_version text,
    p_calibrator_version text,
    OUT value double precision,
    OUT low double precision,
    OUT high double precision,
    OUT source text
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT figure.value, figure.low, figure.high, stated.source
    FROM public.ml_models AS model
    LEFT JOIN public.ml_calibrators AS calibrator
        ON calibrator.calibrator_version = p_calibrator_version AND calibrator.model_version = model.version
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN own.error IS NOT NULL THEN own.error
                WHEN own.is_first THEN model.card #> '{metrics,walk_forward,ece}'
            END AS error,
            CASE
                WHEN own.error IS NOT NULL THEN format('card of calibrator %s', p_calibrator_version)
                WHEN own.is_first THEN 'model card, walk-forward'
                ELSE format('card of calibrator %s', p_calibrator_version)
            END AS source
        FROM (
            SELECT
                calibrator.card #> '{metrics,ece}' AS error,
                p_calibrator_version IS NULL OR p_calibrator_version = (
                    SELECT earliest.calibrator_version FROM public.ml_calibrators AS earliest
                    WHERE earliest.model_version = p_version
                    ORDER BY earliest.created_at, earliest.calibrator_version LIMIT 1
                ) AS is_first
        ) AS own
    ) AS stated
    CROSS JOIN LATERAL ml.read_figure(stated.error) AS figure
    WHERE model.version = p_version
$function$;
COMMENT ON FUNCTION ml.stated_calibration_error IS
    'The calibration error that the registry states for a version with a calibrator, with its interval and where it stands.';
REVOKE ALL ON FUNCTION ml.stated_calibration_error FROM PUBLIC;
