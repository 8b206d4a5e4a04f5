-- Roll-ups by minute from p_from up to p_to: stored ones where they are final, counted from the log where they are not.
-- Called by: ml.merge_minutes, ml.live_metrics, ml.minute_alert_values, views of panels. Calls: ml.summarize_predictions.
-- Reads: ml_jobs, ml_metrics_1m, ml_predictions. Writes: nothing.
--
-- Minutes that start within [p_from, p_to); NULL or infinity is no bound. Right at any time, also when no scheduler ever
-- ran: what is not rolled up, or no longer kept by the minute, is counted from the log.

CREATE OR REPLACE FUNCTION ml.metrics_by_minute(p_from timestamptz, p_to timestamptz)
RETURNS SETOF public.ml_metrics_1m
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_minute CONSTANT interval := interval '1 minute';
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_from timestamptz := coalesce(p_from, '-infinity');
    v_to timestamptz := coalesce(p_to, 'infinity');
    v_stored_from timestamptz;
    v_stored_until timestamptz;
BEGIN
    IF v_from = '-infinity' THEN
        SELECT least(min(p.predicted_at), (SELECT min(m.bucket) FROM public.ml_metrics_1m AS m))
        INTO v_from FROM public.ml_predictions AS p;
        v_from := date_bin(v_minute, v_from, v_origin);
    END IF;
    IF v_to = 'infinity' THEN
        SELECT greatest(max(p.predicted_at), (SELECT max(m.bucket) FROM public.ml_metrics_1m AS m)) + v_minute
        INTO v_to FROM public.ml_predictions AS p;
    END IF;
    IF v_from >= v_to OR v_from = 'infinity' OR v_from IS NULL OR v_to IS NULL OR v_to = '-infinity' THEN
        RETURN;
    END IF;
    -- The first full minute of each.
    v_from := date_bin(v_minute, v_from + v_minute - interval '1 microsecond', v_origin);
    v_to := date_bin(v_minute, v_to + v_minute - interval '1 microsecond', v_origin);

    -- After a clock that was ahead has been put right, minutes to come may be stored already.
    SELECT j.minutes_from, least(j.rolled_up_until, date_bin(v_minute, statement_timestamp(), v_origin))
    INTO v_stored_from, v_stored_until
    FROM public.ml_jobs AS j WHERE j.job = 'roll_up' AND j.rolled_up_until IS NOT NULL;
    -- NULL before the first roll-up; greatest and least would pass over it.
    IF v_stored_until > greatest(v_from, v_stored_from) AND v_stored_from < v_to THEN
        v_stored_from := greatest(v_from, v_stored_from);
        v_stored_until := least(v_to, v_stored_until);
        IF v_stored_from > v_from THEN
            RETURN QUERY SELECT * FROM ml.summarize_predictions(v_from, v_stored_from, v_minute);
        END IF;
        RETURN QUERY
        SELECT m.* FROM public.ml_metrics_1m AS m WHERE m.bucket >= v_stored_from AND m.bucket < v_stored_until;
        v_from := v_stored_until;
    END IF;
    IF v_from < v_to THEN
        RETURN QUERY SELECT * FROM ml.summarize_predictions(v_from, v_to, v_minute);
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.metrics_by_minute IS
    'Roll-ups by minute from p_from up to p_to: stored ones where they are final, counted from the log where they are not.';
REVOKE ALL ON FUNCTION ml.metrics_by_minute FROM PUBLIC;
