-- The versions that have been live, oldest first, without those that a rollback has withdrawn; the last one is live.
-- Called by: ml.rollback. Calls: nothing. Reads: ml_deployments, ml_models. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.live_versions()
RETURNS TABLE (version text, calibrator_version text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_step record;
    v_versions text[] := '{}'::text[];
    v_calibrators text[] := '{}'::text[];
    v_top integer := 0;
    v_place integer;
BEGIN
    -- A stack: what a rollback passes over has been withdrawn and is written over, so that the whole history takes time
    -- in proportion to its length.
    FOR v_step IN
        SELECT d.action, d.version, d.calibrator_version FROM public.ml_deployments AS d
        WHERE d.action IN ('install', 'promote', 'rollback') ORDER BY d.id
    LOOP
        v_place := 0;
        IF v_step.action = 'rollback' THEN
            -- Back to where the version stood last, with the calibrator that it had.
            v_place := v_top - 1;
            WHILE v_place > 0 AND (
                v_versions[v_place] <> v_step.version
                OR v_calibrators[v_place] IS DISTINCT FROM v_step.calibrator_version
            ) LOOP
                v_place := v_place - 1;
            END LOOP;
        END IF;
        IF v_place > 0 THEN
            v_top := v_place;
        ELSE
            v_top := v_top + 1;
            v_versions[v_top] := v_step.version;
            v_calibrators[v_top] := v_step.calibrator_version;
        END IF;
    END LOOP;
    RETURN QUERY SELECT live.version, live.calibrator
    FROM unnest(v_versions, v_calibrators) WITH ORDINALITY AS live (version, calibrator, place)
    WHERE live.place <= v_top AND EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = live.version)
    ORDER BY live.place;
END
$function$;
COMMENT ON FUNCTION ml.live_versions IS
    'The versions that have been live, oldest first, without those that a rollback has withdrawn; the last one is live.';
REVOKE ALL ON FUNCTION ml.live_versions FROM PUBLIC;
