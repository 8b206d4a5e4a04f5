-- The newest calibrator of a version as a whole, which a promotion takes; NULL when it has none.
-- Called by: ml.promote, ml.rollback, ml.check_model. Calls: nothing.
-- Reads: ml_calibrators, ml_deployments. Writes: nothing.

-- One that was rolled back to an earlier calibrator of the same version does not come back by itself.

CREATE OR REPLACE FUNCTION ml.newest_calibrator(p_version text)
RETURNS text
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT calibrator.calibrator_version
    FROM public.ml_calibrators AS calibrator
    WHERE calibrator.model_version = p_version AND calibrator.parent_version IS NULL
        AND NOT EXISTS (
            SELECT FROM public.ml_deployments AS withdrawal
            WHERE withdrawal.action = 'rollback'
                AND withdrawal.version = p_version AND withdrawal.previous_version = p_version
                AND withdrawal.details ->> 'withdrawn_calibrator_version' = calibrator.calibrator_version
        )
    ORDER BY calibrator.created_at DESC, calibrator.calibrator_version DESC
    LIMIT 1
$function$;
COMMENT ON FUNCTION ml.newest_calibrator IS
    'The newest calibrator of a version as a whole, which a promotion takes; NULL when it has none.';
REVOKE ALL ON FUNCTION ml.newest_calibrator FROM PUBLIC;
