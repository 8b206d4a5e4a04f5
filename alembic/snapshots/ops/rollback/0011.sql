-- Makes an earlier version the champion again: the previous one, or the one named; never gated.
-- Called by: operators, trainer rollback. Calls: ml.lock_switches, ml.live_versions, ml.newest_calibrator.
-- Reads: ml_models, ml_aliases, pg_catalog. Writes: ml_aliases, ml_deployments.

CREATE OR REPLACE FUNCTION ml.rollback(p_reason text, p_version text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Whoever holds an alias row, an answer comes in time to disable ML instead.
SET lock_timeout = '2s'
AS $function$
DECLARE
    v_champion public.ml_aliases;
    v_versions text[];
    v_calibrators text[];
    v_place integer;
    v_target text;
    v_calibrator text;
    v_previous text;
    v_previous_calibrator text;
    v_warning text;
BEGIN
    PERFORM ml.lock_switches();
    SELECT * INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';
    SELECT array_agg(live.version), array_agg(live.calibrator_version) INTO v_versions, v_calibrators
    FROM ml.live_versions() AS live;

    IF p_version IS NULL THEN
        v_place := cardinality(v_versions) - 1;
        IF coalesce(v_place, 0) < 1 THEN
            RAISE EXCEPTION 'there is no previous champion: name a version, or call ml.disable() for rules only'
                USING ERRCODE = 'no_data_found';
        END IF;
    ELSIF NOT EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = p_version) THEN
        RAISE EXCEPTION 'model version % is not registered: see table ml_models', p_version
            USING ERRCODE = 'no_data_found';
    ELSIF p_version = v_champion.version THEN
        RAISE EXCEPTION 'model version % is the champion already', p_version
            USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSE
        SELECT max(live.place) INTO v_place
        FROM unnest(v_versions) WITH ORDINALITY AS live (version, place) WHERE live.version = p_version;
    END IF;

    IF v_place IS NOT NULL THEN
        -- With the calibrator that it was live with, whatever has been registered since.
        v_target := v_versions[v_place];
        v_calibrator := v_calibrators[v_place];
        -- The latest one before it that is another model: what scoring falls back to.
        SELECT live.version, live.calibrator INTO v_previous, v_previous_calibrator
        FROM unnest(v_versions, v_calibrators) WITH ORDINALITY AS live (version, calibrator, place)
        WHERE live.place < v_place AND live.version <> v_target ORDER BY live.place DESC LIMIT 1;
    ELSE
        v_target := p_version;
        v_calibrator := ml.newest_calibrator(p_version);
        v_previous := v_champion.version;
        v_previous_calibrator := v_champion.calibrator_version;
    END IF;

    INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
    VALUES ('champion', v_target, v_calibrator)
    ON CONFLICT (alias) DO UPDATE SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    INSERT INTO public.ml_deployments (action, version, previous_version, calibrator_version, reason, details)
    VALUES (
        'rollback', v_target, v_champion.version, v_calibrator, p_reason,
        jsonb_build_object('withdrawn_calibrator_version', v_champion.calibrator_version));
    DELETE FROM public.ml_aliases AS a WHERE a.alias = 'previous' OR (a.alias = 'challenger' AND a.version = v_target);
    IF v_previous IS NOT NULL THEN
        INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
        VALUES ('previous', v_previous, v_previous_calibrator);
    END IF;
    -- Said, not refused: what is live now may be worse still, and only the operator knows.
    IF (
        SELECT count(*) <> 2 FROM pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('ml_generated')
            AND p.proname IN ('score_' || v_target, 'features_' || v_target)
    ) THEN
        v_warning := format('the compiled functions of %s are missing: deploy it again, or roll back further', v_target);
    END IF;
    RETURN jsonb_build_object(
        'champion', v_target, 'previous', v_previous, 'withdrawn', v_champion.version, 'calibrator', v_calibrator,
        'withdrawn_calibrator', v_champion.calibrator_version, 'warning', v_warning);
END
$function$;
COMMENT ON FUNCTION ml.rollback IS
    'Makes an earlier version the champion again: the previous one, or the one named; never gated.';
REVOKE ALL ON FUNCTION ml.rollback FROM PUBLIC;
