-- Names the challenger: it scores in shadow beside the champion, and p_percent of the events in its place (canary).
-- Called by: operators, trainer retrain. Calls: ml.lock_switches, ml.check_model, ml.newest_calibrator,
--        ml.change_setting. Reads: ml_models, ml_aliases. Writes: ml_aliases, ml_settings, ml_deployments.

CREATE OR REPLACE FUNCTION ml.set_challenger(p_version text, p_reason text, p_percent double precision DEFAULT 0)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_earlier public.ml_aliases;
    v_calibrator text;
    v_failed text;
BEGIN
    IF (p_percent BETWEEN 0 AND 100) IS NOT TRUE THEN
        RAISE EXCEPTION 'canary percent must lie between 0 and 100, not %', coalesce(p_percent::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT EXISTS (SELECT FROM public.ml_models AS m WHERE m.version = p_version) THEN
        RAISE EXCEPTION 'model version % is not registered: deploy it first', coalesce(p_version, 'NULL')
            USING ERRCODE = 'no_data_found';
    ELSIF EXISTS (SELECT FROM public.ml_aliases AS a WHERE a.alias = 'champion' AND a.version = p_version) THEN
        RAISE EXCEPTION 'model version % is the champion and cannot challenge itself', p_version
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT string_agg(format('%s: %s', g.gate, g.detail), '; ') INTO v_failed
    FROM ml.check_model(p_version) AS g
    WHERE g.gate IN ('functions', 'features', 'golden rows') AND NOT g.passed;
    IF v_failed IS NOT NULL THEN
        RAISE EXCEPTION 'model version % cannot score here: %', p_version, v_failed
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Compile and deploy it again.';
    END IF;

    -- Taken after the checks, which take their time: a rollback waits for none of it.
    PERFORM ml.lock_switches();
    IF EXISTS (SELECT FROM public.ml_aliases AS a WHERE a.alias = 'champion' AND a.version = p_version) THEN
        RAISE EXCEPTION 'model version % has become the champion meanwhile', p_version USING ERRCODE = 'serialization_failure';
    END IF;
    SELECT * INTO v_earlier FROM public.ml_aliases AS a WHERE a.alias = 'challenger';
    v_calibrator := ml.newest_calibrator(p_version);
    INSERT INTO public.ml_aliases AS a (alias, version, calibrator_version)
    VALUES ('challenger', p_version, v_calibrator)
    ON CONFLICT (alias) DO UPDATE SET version = excluded.version, calibrator_version = excluded.calibrator_version;
    INSERT INTO public.ml_deployments (action, version, previous_version, calibrator_version, reason, details)
    VALUES (
        'challenger', p_version, v_earlier.version, v_calibrator, p_reason, jsonb_build_object('canary_percent', p_percent));
    PERFORM ml.change_setting('canary_percent', p_percent::text, p_reason);
    RETURN jsonb_build_object(
        'challenger', p_version, 'calibrator', v_calibrator, 'canary_percent', p_percent,
        'champion', (SELECT a.version FROM public.ml_aliases AS a WHERE a.alias = 'champion'));
END
$function$;
COMMENT ON FUNCTION ml.set_challenger IS
    'Names the challenger: it scores in shadow beside the champion, and p_percent of the events in its place (canary).';
REVOKE ALL ON FUNCTION ml.set_challenger FROM PUBLIC;
