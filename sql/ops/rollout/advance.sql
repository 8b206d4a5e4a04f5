-- Takes the challenger's canary, or the rollout of ML itself, to its next stage (5, 25, 100 %) when the stage's gates pass.
-- Called by: operators, a scheduler. Calls: ml.lock_switches, ml.check_stage, ml.check_model, ml.promote,
--        ml.change_setting, ml.store_gate_results.
-- Reads: ml_settings, ml_aliases. Writes: ml_settings, ml_gate_results and, through ml.promote, ml_aliases; ml_deployments.

-- With a challenger: shadow, 5 %, 25 %, and then its promotion, with the gates of ml.promote. Without one: the share of
-- events that ML scores at all. A canary that fails or is slow as the circuit breaker counts it goes back to shadow.
CREATE OR REPLACE FUNCTION ml.advance(
    p_reason text DEFAULT NULL,
    p_force boolean DEFAULT false,
    p_at timestamptz DEFAULT clock_timestamp()
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_stages CONSTANT double precision[] := ARRAY[5, 25, 100];
    v_settings public.ml_settings;
    v_champion text;
    v_challenger text;
    v_setting text;
    v_from double precision;
    v_to double precision;
    v_step text;
    v_gates jsonb;
    v_failed text;
    v_broken text;
    v_reason text;
    v_promotion jsonb;
BEGIN
    IF coalesce(p_force, false) AND coalesce(btrim(p_reason), '') = '' THEN
        RAISE EXCEPTION 'p_force goes around the gates of a stage: give p_reason, it is kept'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_settings FROM public.ml_settings;
    IF v_settings.enabled IS NULL THEN
        RAISE EXCEPTION 'ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT a.version INTO v_champion FROM public.ml_aliases AS a WHERE a.alias = 'champion';
    SELECT a.version INTO v_challenger FROM public.ml_aliases AS a WHERE a.alias = 'challenger';
    IF v_settings.enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'ML is disabled, so no stage can be judged: call ml.enable()'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF v_champion IS NULL THEN
        RAISE EXCEPTION 'there is no champion: promote a model with ml.promote()'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    v_setting := CASE WHEN v_challenger IS NOT NULL THEN 'canary_percent' ELSE 'rollout_percent' END;
    v_from := CASE WHEN v_challenger IS NOT NULL THEN v_settings.canary_percent ELSE v_settings.rollout_percent END;
    SELECT min(stage) INTO v_to FROM unnest(v_stages) AS stage WHERE stage > v_from;
    -- A canary of 100 % has nothing left to compare with: the last stage is the promotion.
    v_step := CASE
        WHEN v_challenger IS NOT NULL AND coalesce(v_to, 100) = 100 THEN 'promote'
        WHEN v_to IS NULL THEN 'complete'
        ELSE 'advance'
    END;

    IF v_step <> 'complete' THEN
        SELECT
            jsonb_agg(jsonb_build_object(
                'gate', g.gate, 'passed', g.passed, 'blocking', g.blocking, 'value', g.value,
                'threshold', g.threshold, 'detail', g.detail)),
            string_agg(format('%s: %s', g.gate, g.detail), '; ') FILTER (WHERE NOT g.passed AND g.blocking),
            string_agg(format('%s: %s', g.gate, g.detail), '; ') FILTER (WHERE g.broken)
        INTO v_gates, v_failed, v_broken
        FROM (
            SELECT * FROM ml.check_stage(p_at)
            UNION ALL
            SELECT m.*, false FROM ml.check_model(v_challenger) AS m WHERE v_step = 'promote'
        ) AS g;
        -- Taken after the gates, which take their time: a rollback waits for none of it.
        PERFORM ml.lock_switches();
        IF v_champion IS DISTINCT FROM (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'champion')
            OR v_challenger IS DISTINCT FROM (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'challenger')
            OR v_from IS DISTINCT FROM (
                SELECT CASE WHEN v_challenger IS NOT NULL THEN s.canary_percent ELSE s.rollout_percent END
                FROM public.ml_settings AS s
            )
        THEN
            RAISE EXCEPTION 'champion, challenger or percentage were changed meanwhile: look at ml_deployments and call again'
                USING ERRCODE = 'serialization_failure';
        END IF;
        PERFORM ml.store_gate_results(
            coalesce(v_challenger, v_champion), NULL, 'advance', v_gates);
        IF v_broken IS NOT NULL AND v_challenger IS NOT NULL AND v_from > 0 THEN
            v_step := 'retreat';
            v_to := 0;
            v_reason := 'back to shadow: ' || v_broken;
        ELSIF v_failed IS NOT NULL AND NOT coalesce(p_force, false) THEN
            v_step := 'hold';
            v_to := v_from;
        END IF;
    END IF;

    v_reason := coalesce(v_reason, p_reason, format('stage %s %% passed its gates', v_from));
    IF v_step IN ('advance', 'retreat') THEN
        PERFORM ml.change_setting(v_setting, v_to::text, v_reason);
    ELSIF v_step = 'promote' THEN
        v_promotion := ml.promote(v_challenger, v_champion, v_reason, coalesce(p_force, false));
    END IF;
    RETURN jsonb_build_object(
        'experiment', CASE WHEN v_challenger IS NOT NULL THEN 'challenger' ELSE 'rollout' END,
        'champion', CASE WHEN v_step = 'promote' THEN v_challenger ELSE v_champion END,
        'challenger', v_challenger,
        'step', v_step,
        'changed', v_step IN ('advance', 'retreat', 'promote'),
        'from_percent', v_from,
        'to_percent', CASE WHEN v_step = 'promote' THEN 100 ELSE coalesce(v_to, v_from) END,
        'failed', v_failed,
        'gates', coalesce(v_gates, '[]'),
        'promotion', v_promotion
    );
END
$function$;
COMMENT ON FUNCTION ml.advance IS
    'Takes the challenger''s canary, or the rollout of ML itself, to its next stage (5, 25, 100 %) when the stage''s gates pass.';
REVOKE ALL ON FUNCTION ml.advance FROM PUBLIC;
