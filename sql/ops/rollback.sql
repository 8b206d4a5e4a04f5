-- Makes an earlier version the champion again: the previous one, or the one named; never gated.
-- Called by: operators, trainer rollback. Calls: nothing.
-- Reads: ml_models, ml_calibrators, ml_aliases, ml_deployments. Writes: ml_aliases, ml_deployments.

CREATE OR REPLACE FUNCTION ml.rollback(p_reason text, p_version text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_champion public.ml_aliases;
    v_target text := p_version;
    v_calibrator text;
    v_earlier public.ml_deployments;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('ml.promote', 0));
    SELECT * INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';

    IF v_target IS NULL THEN
        SELECT a.version INTO v_target FROM public.ml_aliases AS a WHERE a.alias = 'previous';
        IF v_target IS NULL THEN
            RAISE EXCEPTION 'there is no previous champion: name a version, or call ml.disable() for rules only'
                USING ERRCODE = 'no_data_found';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = v_target) THEN
        RAISE EXCEPTION 'model version % is not registered: see table ml_models', v_target
            USING ERRCODE = 'no_data_found';
    ELSIF v_target = v_champion.version THEN
        RAISE EXCEPTION 'model version % is the champion already', v_target
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    -- The calibrator that the version was last live with, and the champion that it had replaced then: a second
    -- rollback goes one step further back instead of returning to the version withdrawn now.
    SELECT * INTO v_earlier FROM public.ml_deployments AS d
    WHERE d.action IN ('promote', 'rollback') AND d.version = v_target
    ORDER BY d.id DESC LIMIT 1;
    v_calibrator := coalesce(v_earlier.calibrator_version, (
        SELECT c.calibrator_version FROM public.ml_calibrators AS c WHERE c.model_version = v_target
        ORDER BY c.created_at DESC, c.calibrator_version DESC LIMIT 1
    ));
    SELECT * INTO v_earlier FROM public.ml_deployments AS d
    WHERE d.action = 'promote' AND d.version = v_target
    ORDER BY d.id DESC LIMIT 1;

    INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
    VALUES ('champion', v_target, v_calibrator)
    ON CONFLICT (alias) DO UPDATE SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    IF v_earlier.previous_version IS NULL THEN
        DELETE FROM public.ml_aliases AS a WHERE a.alias = 'previous';
    ELSE
        INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
        VALUES ('previous', v_earlier.previous_version, v_earlier.details ->> 'previous_calibrator_version')
        ON CONFLICT (alias) DO UPDATE
            SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    END IF;
    INSERT INTO public.ml_deployments (action, version, previous_version, calibrator_version, reason)
    VALUES ('rollback', v_target, v_champion.version, v_calibrator, p_reason);
    RETURN pg_catalog.jsonb_build_object(
        'champion', v_target, 'previous', v_earlier.previous_version, 'withdrawn', v_champion.version,
        'calibrator', v_calibrator);
END
$function$;
COMMENT ON FUNCTION ml.rollback IS
    'Makes an earlier version the champion again: the previous one, or the one named; never gated.';
REVOKE ALL ON FUNCTION ml.rollback FROM PUBLIC;
