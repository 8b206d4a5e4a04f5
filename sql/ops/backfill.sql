-- Scores events that have no score yet, oldest first; one call is one batch, and its cursor starts the next.
-- Called by: operators, trainer backfill. Calls: ml.score_events, ml.rollout_bucket.
-- Reads: pattern_events, ml.scoring_context.
-- Writes: pattern_events, ml_predictions (through the log trigger), ml_backfill_errors.

-- An event that fails is recorded in ml_backfill_errors and the rest goes on; the cursor leads past it, so that a run
-- tries it once. Several sessions may backfill at the same time: each takes events that no other one has.
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
    v_last_detected_at timestamptz;
    v_last_id uuid;
    v_result jsonb := '{"counts": {}, "failed": []}'::jsonb;
    v_skipped bigint;
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
        v_result := ml.score_events('backfill', v_ids, NOT p_dry_run);
        SELECT event.detected_at, event.id INTO v_last_detected_at, v_last_id
        FROM public.pattern_events AS event WHERE event.id = v_ids[pg_catalog.cardinality(v_ids)];
    END IF;

    SELECT pg_catalog.count(*) INTO v_skipped
    FROM public.pattern_events AS event
    WHERE event.model_version IS NULL
        AND (p_since IS NULL OR event.detected_at >= p_since)
        AND (p_until IS NULL OR event.detected_at < p_until)
        AND (p_after_id IS NULL OR (event.detected_at, event.id) > (p_after_detected_at, p_after_id))
        AND (
            coalesce(pg_catalog.cardinality(v_ids), 0) < p_limit
            OR (event.detected_at, event.id) < (v_last_detected_at, v_last_id)
        )
        AND ml.rollout_bucket(v_context.rollout_salt, event.id) < v_context.rollout_percent / 100
        AND NOT EXISTS (SELECT FROM pg_catalog.unnest(v_ids) AS tried (id) WHERE tried.id = event.id);

    IF NOT p_dry_run THEN
        INSERT INTO public.ml_backfill_errors (event_id, model_version, sqlstate, message)
        SELECT (failed.error ->> 'event_id')::uuid, v_context.model_version, failed.error ->> 'sqlstate', failed.error ->> 'message'
        FROM pg_catalog.jsonb_array_elements(v_result -> 'failed') AS failed (error)
        ON CONFLICT (event_id) WHERE resolved_at IS NULL DO UPDATE
            SET occurred_at = excluded.occurred_at,
                attempts = ml_backfill_errors.attempts + 1,
                model_version = excluded.model_version,
                sqlstate = excluded.sqlstate,
                message = excluded.message;
        -- The first batch of a run also looks at events that were scored by other ways since, or deleted.
        UPDATE public.ml_backfill_errors AS error SET resolved_at = pg_catalog.clock_timestamp()
        WHERE error.id IN (
            SELECT open.id
            FROM public.ml_backfill_errors AS open
            LEFT JOIN public.pattern_events AS event ON event.id = open.event_id
            WHERE open.resolved_at IS NULL
                AND (event.id IS NULL OR event.model_version IS NOT NULL)
                AND (p_after_id IS NULL OR open.event_id = ANY (v_ids))
            FOR UPDATE OF open SKIP LOCKED
        );
    END IF;

    RETURN pg_catalog.jsonb_build_object(
        'dry_run', p_dry_run,
        'model_version', v_context.model_version,
        'candidates', coalesce(pg_catalog.cardinality(v_ids), 0),
        'scored', coalesce((v_result #>> '{counts,scored}')::bigint, 0),
        'not_scored', (v_result -> 'counts') - 'scored',
        'failed', pg_catalog.jsonb_array_length(v_result -> 'failed'),
        'errors', pg_catalog.jsonb_path_query_array(v_result, '$.failed[0 to 19]'),
        'skipped', v_skipped,
        'last_detected_at', v_last_detected_at,
        'last_id', v_last_id
    );
END
$function$;
COMMENT ON FUNCTION ml.backfill IS
    'Scores events that have no score yet, oldest first; one call is one batch, and its cursor starts the next.';
REVOKE ALL ON FUNCTION ml.backfill FROM PUBLIC;
