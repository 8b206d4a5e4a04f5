-- Statement trigger of pattern_events: keeps the history of an event's status and outcome, one insert per statement.
-- Called by: trigger pattern_events_95_lifecycle. Calls: nothing. Reads: nothing.
-- Writes: pattern_lifecycle_history.

CREATE OR REPLACE FUNCTION ml.record_status_changes()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
-- A plan that was made for one row must not meet a hundred thousand.
SET enable_nestloop = off
AS $function$
BEGIN
    INSERT INTO public.pattern_lifecycle_history (
        event_id, old_status, new_status, model_version, ml_confidence, blended_confidence, outcome_label, latency_us
    )
    SELECT
        after.id, before.status, after.status, after.model_version, after.ml_confidence, after.blended_confidence,
        after.outcome_label, (after.ml_metadata #>> '{scoring,latency_us}')::integer
    FROM new_rows AS after
    JOIN old_rows AS before ON before.id = after.id
    -- An outcome mostly arrives long after the last change of status: without a row of its own it would be in none.
    WHERE before.status IS DISTINCT FROM after.status OR before.outcome_label IS DISTINCT FROM after.outcome_label;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'status changes of this statement were not recorded: % (%)', SQLERRM, SQLSTATE;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.record_status_changes IS
    'Statement trigger of pattern_events: keeps the history of an event''s status and outcome, one insert per statement.';
REVOKE ALL ON FUNCTION ml.record_status_changes FROM PUBLIC;
