-- The versions that have been live, oldest first, without those that a rollback has withdrawn; the last one is live.
-- Called by: ml.rollback. Calls: nothing. Reads: ml_deployments, ml_models. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.live_versions()
RETURNS TABLE (version text, calibrator_version text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_step public.ml_deployments;
    v_versions text[] := '{}'::text[];
    v_calibrators text[] := '{}'::text[];
    v_place integer;
BEGIN
    FOR v_step IN
        SELECT d.* FROM public.ml_deployments AS d
        WHERE d.action IN ('install', 'promote', 'rollback') ORDER BY d.id
    LOOP
        v_place := NULL;
        IF v_step.action = 'rollback' THEN
            -- Back to where the version stood before; what came after it has been withdrawn.
            SELECT max(live.place) INTO v_place
            FROM unnest(v_versions, v_calibrators) WITH ORDINALITY AS live (version, calibrator, place)
            WHERE live.version = v_step.version
                AND live.calibrator IS NOT DISTINCT FROM v_step.calibrator_version
                AND live.place < cardinality(v_versions);
        END IF;
        IF v_place IS NOT NULL THEN
            v_versions := v_versions[:v_place];
            v_calibrators := v_calibrators[:v_place];
        ELSE
            v_versions := v_versions || v_step.version;
            v_calibrators := v_calibrators || v_step.calibrator_version;
        END IF;
    END LOOP;
    RETURN QUERY SELECT live.version, live.calibrator
    FROM unnest(v_versions, v_calibrators) WITH ORDINALITY AS live (version, calibrator, place)
    WHERE EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = live.version)
    ORDER BY live.place;
END
$function$;
COMMENT ON FUNCTION ml.live_versions IS
    'The versions that have been live, oldest first, without those that a rollback has withdrawn; the last one is live.';
REVOKE ALL ON FUNCTION ml.live_versions FROM PUBLIC;
