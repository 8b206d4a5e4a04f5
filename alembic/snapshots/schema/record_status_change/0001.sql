-- Row trigger of pattern_events: keeps the history of an event's status.
-- Called by: trigger pattern_events_95_lifecycle. Calls: nothing. Reads: nothing.
-- Writes: pattern_lifecycle_history.

CREATE OR REPLACE FUNCTION ml.record_status_change()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
AS $function$
BEGIN
    INSERT INTO public.pattern_lifecycle_history (
        event_id, old_status, new_status, model_version, ml_confidence, blended_confidence, outcome_label, latency_us
    )
    VALUES (
        NEW.id, OLD.status, NEW.status, NEW.model_version, NEW.ml_confidence, NEW.blended_confidence,
        NEW.outcome_label, (NEW.ml_metadata #>> '{scoring,latency_us}')::integer
    );
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'status change of event % was not recorded: % (%)', NEW.id, SQLERRM, SQLSTATE;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.record_status_change IS 'Row trigger of pattern_events: keeps the history of an event''s status.';
