-- Scores events that have no score yet, oldest first; one call is one batch, and its cursor starts the next.
-- Called by: operators, trainer backfill. Calls: ml.score_batch, ml.rollout_bucket.
-- Reads: pattern_events, ml.scoring_context. Writes: pattern_events, ml_predictions (through the log trigger).

CREATE OR REPLACE FUNCTION ml.backfill(
    p_limit integer DEFAULT 5000,
    p_dry_run boolean DEFAULT false,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_after_detected_at timestamptz DEFAULT NULL,
    p_after_id uuid DEFAULT NULL
)
RETURNS jsonb
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_context ml.scoring_context;
    v_ids uuid[];
    v_id uuid;
    v_last_detected_at timestamptz;
    v_last_id uuid;
    v_counts jsonb := '{}'::jsonb;
    v_errors jsonb := '[]'::jsonb;
    v_failed bigint := 0;
BEGIN
    IF p_limit IS NULL OR p_limit < 1 THEN
        RAISE EXCEPTION 'p_limit must be at least 1' USING ERRCODE = 'invalid_parameter_value';
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

    -- Rows that another session is changing are left for the next run instead of waited for.
    SELECT pg_catalog.array_agg(chosen.id) INTO v_ids FROM (
        SELECT event.id
        FROM public.pattern_events AS event
        WHERE event.model_version IS NULL
            AND (p_since IS NULL OR event.detected_at >= p_since)
            AND (p_until IS NULL OR event.detected_at < p_until)
            AND (p_after_id IS NULL OR (event.detected_at, event.id) > (p_after_detected_at, p_after_id))
            AND ml.rollout_bucket(v_context.rollout_salt, event.id) < v_context.rollout_percent / 100
        ORDER BY event.detected_at, event.id
        LIMIT p_limit
        FOR UPDATE SKIP LOCKED
    ) AS chosen;

    IF v_ids IS NOT NULL THEN
        BEGIN
            SELECT coalesce(pg_catalog.jsonb_object_agg(b.reason, b.events), '{}') INTO v_counts
            FROM ml.score_batch(v_ids, NOT p_dry_run) AS b;
        EXCEPTION WHEN OTHERS THEN
            -- One event must not hold up the rest: each is tried by itself and the failures are named.
            FOREACH v_id IN ARRAY v_ids LOOP
                BEGIN
                    SELECT v_counts || pg_catalog.jsonb_object_agg(
                        b.reason, coalesce((v_counts ->> b.reason)::bigint, 0) + b.events)
                    INTO v_counts
                    FROM ml.score_batch(ARRAY[v_id], NOT p_dry_run) AS b;
                EXCEPTION WHEN OTHERS THEN
                    v_failed := v_failed + 1;
                    IF v_failed <= 20 THEN
                        v_errors := v_errors || pg_catalog.jsonb_build_object(
                            'event_id', v_id, 'sqlstate', SQLSTATE, 'message', SQLERRM);
                    END IF;
                END;
            END LOOP;
        END;
        SELECT event.detected_at, event.id INTO v_last_detected_at, v_last_id
        FROM public.pattern_events AS event WHERE event.id = v_ids[pg_catalog.cardinality(v_ids)];
    END IF;

    RETURN pg_catalog.jsonb_build_object(
        'dry_run', p_dry_run,
        'model_version', v_context.model_version,
        'candidates', coalesce(pg_catalog.cardinality(v_ids), 0),
        'scored', coalesce((v_counts ->> 'scored')::bigint, 0),
        'not_scored', v_counts - 'scored',
        'failed', v_failed,
        'errors', v_errors,
        'last_detected_at', v_last_detected_at,
        'last_id', v_last_id
    );
END
$function$;
COMMENT ON FUNCTION ml.backfill IS
    'Scores events that have no score yet, oldest first; one call is one batch, and its cursor starts the next.';
REVOKE ALL ON FUNCTION ml.backfill FROM PUBLIC;
