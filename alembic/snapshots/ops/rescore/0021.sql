-- Scores again, with the champion, the events that carry the score of a withdrawn version; one call is one batch.
-- Called by: operators. Calls: ml.score_events.
-- Reads: pattern_events, ml_predictions, ml_log_drops, ml_aliases, ml_models, ml.scoring_context.
-- Writes: pattern_events, ml_predictions (through the log trigger), ml_deployments.

-- p_since and p_until bound the time of the scoring that is to be replaced. Events that were scored again are no longer
-- found, so that calling it once more goes on where it stopped; last_scored_at of one call as p_since of the next saves
-- looking at them. Events are found by the log, whose rows live as long as the retention allows.
CREATE OR REPLACE FUNCTION ml.rescore(
    p_version text,
    p_since timestamptz,
    p_until timestamptz DEFAULT NULL,
    p_reason text DEFAULT NULL,
    p_limit integer DEFAULT 5000,
    p_dry_run boolean DEFAULT false
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_context ml.scoring_context;
    v_alias text;
    v_ids uuid[];
    v_last_scored_at timestamptz;
    v_scored jsonb := '{"counts": {}, "failed": []}'::jsonb;
    v_result jsonb;
BEGIN
    IF p_since IS NULL THEN
        RAISE EXCEPTION 'p_since must say from which scoring on: the time of the deployment in ml_deployments, for example'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF coalesce(p_limit, 0) < 1 THEN
        RAISE EXCEPTION 'p_limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
    ELSIF NOT EXISTS (SELECT FROM public.ml_models AS model WHERE model.version = p_version) THEN
        RAISE EXCEPTION 'model version % is not registered: see table ml_models', coalesce(p_version, 'NULL')
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT alias.alias INTO v_alias FROM public.ml_aliases AS alias
    WHERE alias.version = p_version AND alias.alias IN ('champion', 'challenger') ORDER BY alias.alias LIMIT 1;
    IF v_alias IS NOT NULL THEN
        RAISE EXCEPTION 'model version % is still the %: withdraw it first', p_version, v_alias
            USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE v_alias WHEN 'champion' THEN 'Call ml.rollback().' ELSE 'Call ml.withdraw_challenger().' END;
    END IF;
    SELECT * INTO v_context FROM ml.scoring_context;
    IF v_context.enabled IS NULL THEN
        RAISE EXCEPTION 'ml_settings has no row: restore it with INSERT INTO ml_settings DEFAULT VALUES'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF v_context.model_version IS NULL THEN
        RAISE EXCEPTION 'there is no champion to score with: promote a model with ml.promote()'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF NOT v_context.enabled AND NOT p_dry_run THEN
        RAISE EXCEPTION 'ML is disabled: call ml.enable() first, or pass p_dry_run => true'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;

    -- Rows that another session is changing are left for the next call instead of waited for.
    SELECT array_agg(chosen.id ORDER BY chosen.scored_at), max(chosen.scored_at) INTO v_ids, v_last_scored_at
    FROM (
        SELECT event.id, touched.scored_at
        FROM (
            SELECT log.event_id, log.id AS prediction_id, log.predicted_at AS scored_at
            FROM public.ml_predictions AS log
            WHERE log.model_version = p_version AND log.predicted_at >= p_since
                AND log.predicted_at < coalesce(p_until, 'infinity')
            UNION ALL
            -- What could not be logged was scored all the same.
            SELECT dropped.event_id, dropped.prediction_id, dropped.dropped_at
            FROM public.ml_log_drops AS dropped
            WHERE dropped.dropped_at >= p_since AND dropped.dropped_at < coalesce(p_until, 'infinity')
        ) AS touched
        JOIN public.pattern_events AS event ON event.id = touched.event_id
        WHERE event.model_version = p_version
            AND event.ml_metadata #>> '{scoring,prediction_id}' = touched.prediction_id::text
        ORDER BY touched.scored_at
        LIMIT p_limit
        FOR UPDATE OF event SKIP LOCKED
    ) AS chosen;

    IF v_ids IS NOT NULL THEN
        v_scored := ml.score_events('rescore', v_ids, NOT p_dry_run, p_reason);
    END IF;

    v_result := jsonb_build_object(
        'dry_run', p_dry_run,
        'withdrawn_version', p_version,
        'model_version', v_context.model_version,
        'candidates', coalesce(cardinality(v_ids), 0),
        'scored', coalesce((v_scored #>> '{counts,scored}')::bigint, 0),
        'not_scored', (v_scored -> 'counts') - 'scored',
        'failed', jsonb_array_length(v_scored -> 'failed'),
        'errors', jsonb_path_query_array(v_scored, '$.failed[0 to 19]'),
        'last_scored_at', v_last_scored_at
    );
    IF v_ids IS NOT NULL AND NOT p_dry_run THEN
        INSERT INTO public.ml_deployments (action, version, previous_version, calibrator_version, reason, details)
        VALUES (
            'rescore', v_context.model_version, p_version, v_context.calibrator_version, p_reason,
            v_result - 'errors' || jsonb_build_object('since', p_since, 'until', p_until));
    END IF;
    RETURN v_result;
END
$function$;
COMMENT ON FUNCTION ml.rescore IS
    'Scores again, with the champion, the events that carry the score of a withdrawn version; one call is one batch.';
REVOKE ALL ON FUNCTION ml.rescore FROM PUBLIC;
