-- Makes a registered version with its newest calibrator the champion, if the champion is still the expected one and every gate passes.
-- Called by: operators, trainer promote. Calls: ml.check_model.
-- Reads: ml_models, ml_calibrators, ml_aliases. Writes: ml_aliases, ml_deployments.

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
    v_champion public.ml_aliases;
    v_calibrator text;
    v_gates jsonb;
    v_failed text;
BEGIN
    -- Promotions and rollbacks queue here; scoring takes no lock and never waits for them.
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('ml.promote', 0));
    SELECT * INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';

    IF v_champion.version IS DISTINCT FROM p_expected_champion THEN
        RAISE EXCEPTION 'the champion is %, not % as expected: look at ml_deployments and promote again',
            coalesce(v_champion.version, 'none'), coalesce(p_expected_champion, 'none')
            USING ERRCODE = 'serialization_failure';
    END IF;
    IF NOT EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = p_version) THEN
        RAISE EXCEPTION 'model version % is not registered: deploy it first', coalesce(p_version, 'NULL')
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT c.calibrator_version INTO v_calibrator
    FROM public.ml_calibrators AS c WHERE c.model_version = p_version
    ORDER BY c.created_at DESC, c.calibrator_version DESC LIMIT 1;
    IF v_champion.version = p_version AND v_champion.calibrator_version IS NOT DISTINCT FROM v_calibrator THEN
        RETURN pg_catalog.jsonb_build_object(
            'champion', p_version,
            'previous', (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'previous'),
            'calibrator', v_calibrator, 'changed', false, 'gates', '[]'::jsonb);
    END IF;

    SELECT
        pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('gate', g.gate, 'passed', g.passed, 'detail', g.detail)),
        pg_catalog.string_agg(pg_catalog.format('%s: %s', g.gate, g.detail), '; ') FILTER (WHERE NOT g.passed)
    INTO v_gates, v_failed
    FROM ml.check_model(p_version) AS g;
    IF v_failed IS NOT NULL AND NOT coalesce(p_force, false) THEN
        RAISE EXCEPTION 'model version % does not pass its gates: %', p_version, v_failed
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Compile and deploy it again, or pass p_force => true with a reason.';
    END IF;

    IF v_champion.version IS NOT NULL THEN
        INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
        VALUES ('previous', v_champion.version, v_champion.calibrator_version)
        ON CONFLICT (alias) DO UPDATE
            SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    END IF;
    INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
    VALUES ('champion', p_version, v_calibrator)
    ON CONFLICT (alias) DO UPDATE SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    INSERT INTO public.ml_deployments (action, version, previous_version, calibrator_version, reason, details)
    VALUES (
        'promote', p_version, v_champion.version, v_calibrator, p_reason,
        pg_catalog.jsonb_build_object(
            'gates', v_gates, 'forced', v_failed IS NOT NULL,
            'previous_calibrator_version', v_champion.calibrator_version)
    );
    RETURN pg_catalog.jsonb_build_object(
        'champion', p_version, 'previous', v_champion.version, 'calibrator', v_calibrator,
        'changed', true, 'gates', v_gates);
END
$function$;
COMMENT ON FUNCTION ml.promote IS
    'Makes a registered version with its newest calibrator the champion, if the champion is still the expected one and every gate passes.';
REVOKE ALL ON FUNCTION ml.promote FROM PUBLIC;
