-- Scores the named events in as few statements as their errors allow, and names each event that failed.
-- Called by: ml.backfill, ml.rescore. Calls: ml.score_batch, ml.rescore_events, itself.
-- Reads: nothing. Writes: pattern_events (and so ml_predictions) when p_write.

-- Returns {"counts": {reason: events}, "failed": [{"event_id", "sqlstate", "message"}]}. What fails as a whole is tried
-- again in sixteen parts, so that a few bad events among thousands cost some dozen statements. Errors that no other
-- event would escape (a missing function or right, a full disk, a lock or the server itself) are raised instead.
CREATE OR REPLACE FUNCTION ml.score_events(p_task text, p_ids uuid[], p_write boolean, p_reason text DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_parts CONSTANT integer := 16;
    v_events integer := pg_catalog.cardinality(p_ids);
    v_size integer := pg_catalog.ceil(v_events / c_parts::numeric)::integer;
    v_from integer := 1;
    v_part jsonb;
    v_result jsonb := '{"counts": {}, "failed": []}'::jsonb;
    v_sqlstate text;
    v_message text;
BEGIN
    BEGIN
        IF p_task = 'rescore' THEN
            SELECT pg_catalog.jsonb_object_agg(scored.reason, scored.events) INTO v_part
            FROM ml.rescore_events(p_ids, p_reason, p_write) AS scored;
        ELSE
            SELECT pg_catalog.jsonb_object_agg(scored.reason, scored.events) INTO v_part
            FROM ml.score_batch(p_ids, p_write) AS scored;
        END IF;
        RETURN pg_catalog.jsonb_set(v_result, '{counts}', coalesce(v_part, '{}'));
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT;
        IF pg_catalog.left(v_sqlstate, 2) IN ('40', '42', '53', '57', '58') OR v_sqlstate = '55P03' THEN
            RAISE;
        END IF;
    END;
    IF v_events = 1 THEN
        RETURN pg_catalog.jsonb_build_object('counts', '{}'::jsonb, 'failed', pg_catalog.jsonb_build_array(
            pg_catalog.jsonb_build_object(
                'event_id', p_ids[1], 'sqlstate', v_sqlstate, 'message', pg_catalog.left(v_message, 1000))));
    END IF;
    WHILE v_from <= v_events LOOP
        v_part := ml.score_events(p_task, p_ids[v_from : v_from + v_size - 1], p_write, p_reason);
        v_result := pg_catalog.jsonb_build_object(
            'counts',
            (
                SELECT coalesce(pg_catalog.jsonb_object_agg(summed.reason, summed.events), '{}')
                FROM (
                    SELECT counted.key AS reason, pg_catalog.sum(counted.value::bigint) AS events
                    FROM (
                        SELECT c.key, c.value FROM pg_catalog.jsonb_each_text(v_result -> 'counts') AS c
                        UNION ALL
                        SELECT c.key, c.value FROM pg_catalog.jsonb_each_text(v_part -> 'counts') AS c
                    ) AS counted
                    GROUP BY counted.key
                ) AS summed
            ),
            'failed', (v_result -> 'failed') || (v_part -> 'failed'));
        v_from := v_from + v_size;
    END LOOP;
    RETURN v_result;
END
$function$;
COMMENT ON FUNCTION ml.score_events IS
    'Scores the named events in as few statements as their errors allow, and names each event that failed.';
REVOKE ALL ON FUNCTION ml.score_events FROM PUBLIC;
