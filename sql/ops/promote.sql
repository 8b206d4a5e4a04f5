-- Makes a registered version with its newest calibrator the champion, if the champion is still the expected one and every gate passes.
-- Called by: operators, trainer promote.
-- Calls: ml.newest_calibrator, ml.check_model, ml.lock_switches, ml.change_setting, ml.record_functions,
--        ml.store_gate_results.
-- Reads: ml_models, ml_aliases. Writes: ml_aliases, ml_deployments, ml_gate_results, ml.model_functions, ml.model_features.

CREATE OR REPLACE FUNCTION ml.promote(
    p_version text,
    p_expected_champion text,
    p_reason text,
    p_force boolean DEFAULT false
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_force boolean := coalesce(p_force, false);
    v_champion public.ml_aliases;
    v_champion_now public.ml_aliases;
    v_calibrator text;
    v_gates jsonb;
    v_failed jsonb;
    v_sentence text;
    v_deployment bigint;
BEGIN
    SELECT * INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';
    IF v_champion.version IS DISTINCT FROM p_expected_champion THEN
        RAISE EXCEPTION 'the champion is %, not % as expected: look at ml_deployments and promote again',
            coalesce(v_champion.version, 'none'), coalesce(p_expected_champion, 'none')
            USING ERRCODE = 'serialization_failure';
    END IF;
    IF v_force AND coalesce(p_reason, '') !~ '\S' THEN
        RAISE EXCEPTION 'p_force needs a reason: say in p_reason why the gates do not count this time'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = p_version) THEN
        RAISE EXCEPTION 'model version % is not registered: deploy it first', coalesce(p_version, 'NULL')
            USING ERRCODE = 'no_data_found';
    END IF;
    v_calibrator := ml.newest_calibrator(p_version);
    IF v_champion.version = p_version AND v_champion.calibrator_version IS NOT DISTINCT FROM v_calibrator THEN
        RETURN jsonb_build_object(
            'champion', p_version,
            'previous', (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'previous'),
            'calibrator', v_calibrator, 'changed', false, 'forced', false, 'gates', '[]'::jsonb);
    END IF;

    SELECT
        jsonb_agg(to_jsonb(g)),
        jsonb_agg(g.gate) FILTER (WHERE NOT g.passed AND g.blocking),
        string_agg(format('%s: %s', g.gate, g.detail), '; ') FILTER (WHERE NOT g.passed AND g.blocking)
    INTO v_gates, v_failed, v_sentence
    FROM ml.check_model(p_version, v_calibrator) AS g;
    IF v_failed ? 'functions' OR (v_failed IS NOT NULL AND NOT v_force) THEN
        RAISE EXCEPTION 'model version % does not pass its gates: %', p_version, v_sentence
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN v_failed ? 'functions'
                THEN 'Compile and deploy it again: without its functions there is nothing to promote.'
                ELSE 'See ml_gates for what each gate asks, or pass p_force => true with a reason.' END;
    END IF;

    -- Taken after the gates, which take their time: a rollback waits for none of it.
    PERFORM ml.lock_switches();
    SELECT * INTO v_champion_now FROM public.ml_aliases AS a WHERE a.alias = 'champion';
    IF v_champion_now IS DISTINCT FROM v_champion THEN
        RAISE EXCEPTION 'the champion is % with calibrator %, not % with % as expected: look at ml_deployments and promote again',
            coalesce(v_champion_now.version, 'none'), coalesce(v_champion_now.calibrator_version, 'none'),
            coalesce(v_champion.version, 'none'), coalesce(v_champion.calibrator_version, 'none')
            USING ERRCODE = 'serialization_failure';
    END IF;

    PERFORM ml.record_functions(p_version);
    -- A recalibrated champion leaves the alias alone: what scoring falls back to is another model.
    IF v_champion.version <> p_version THEN
        INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
        VALUES ('previous', v_champion.version, v_champion.calibrator_version)
        ON CONFLICT (alias) DO UPDATE
            SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    END IF;
    INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
    VALUES ('champion', p_version, v_calibrator)
    ON CONFLICT (alias) DO UPDATE SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    -- A challenger that has become champion has nobody left to challenge.
    DELETE FROM public.ml_aliases AS a WHERE a.alias = 'challenger' AND a.version = p_version;
    IF FOUND THEN
        PERFORM ml.change_setting('canary_percent', '0', p_reason);
    END IF;
    INSERT INTO public.ml_deployments AS d (action, version, previous_version, calibrator_version, reason, details)
    VALUES (
        'promote', p_version, v_champion.version, v_calibrator, p_reason,
        jsonb_build_object(
            'forced', v_failed IS NOT NULL, 'failed_gates', coalesce(v_failed, '[]'),
            'previous_calibrator_version', v_champion.calibrator_version)
    )
    RETURNING d.id INTO v_deployment;
    PERFORM ml.store_gate_results(p_version, v_calibrator, 'promote', v_gates, v_deployment);
    RETURN jsonb_build_object(
        'champion', p_version, 'previous', v_champion.version, 'calibrator', v_calibrator,
        'changed', true, 'forced', v_failed IS NOT NULL, 'gates', v_gates, 'deployment_id', v_deployment);
END
$function$;
COMMENT ON FUNCTION ml.promote IS
    'Makes a registered version with its newest calibrator the champion, if the champion is still the expected one and every gate passes.';
REVOKE ALL ON FUNCTION ml.promote FROM PUBLIC;
