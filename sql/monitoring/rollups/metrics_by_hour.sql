-- Roll-ups by hour from p_from up to p_to: stored ones where they are final, counted from minutes and log where not.
-- Called by: ml.live_metrics, ml_deployment_audit, views of panels. Calls: ml.merge_minutes, ml.summarize_predictions.
-- Reads: ml_jobs, ml_metrics_1h, ml_predictions. Writes: nothing.
--
-- Hours (of UTC) that start within [p_from, p_to); NULL or infinity is no bound. Right at any time, also when no
-- scheduler ever ran.

CREATE OR REPLACE FUNCTION ml.metrics_by_hour(p_from timestamptz, p_to timestamptz)
RETURNS SETOF public.ml_metrics_1h
LANGUAGE plpgsql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_hour CONSTANT interval := interval '1 hour';
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_from timestamptz := coalesce(p_from, '-infinity');
    v_to timestamptz := coalesce(p_to, 'infinity');
    v_until timestamptz;
BEGIN
    IF v_from = '-infinity' THEN
        SELECT least(min(p.predicted_at), (SELECT min(m.bucket) FROM public.ml_metrics_1h AS m))
        INTO v_from FROM public.ml_predictions AS p;
        v_from := date_bin(v_hour, v_from, v_origin);
    END IF;
    IF v_to = 'infinity' THEN
        SELECT greatest(max(p.predicted_at), (SELECT max(m.bucket) FROM public.ml_metrics_1h AS m)) + v_hour
        INTO v_to FROM public.ml_predictions AS p;
    END IF;
    IF v_from >= v_to OR v_from = 'infinity' OR v_from IS NULL OR v_to IS NULL OR v_to = '-infinity' THEN
        RETURN;
    END IF;
    -- The first full hour of each.
    v_from := date_bin(v_hour, v_from + v_hour - interval '1 microsecond', v_origin);
    v_to := date_bin(v_hour, v_to + v_hour - interval '1 microsecond', v_origin);

    SELECT date_bin(v_hour, least(j.rolled_up_until, statement_timestamp()), v_origin) INTO v_until
    FROM public.ml_jobs AS j WHERE j.job = 'roll_up' AND j.rolled_up_until IS NOT NULL;
    IF v_until IS NULL THEN
        RETURN QUERY SELECT * FROM ml.summarize_predictions(v_from, v_to, v_hour);
        RETURN;
    END IF;
    RETURN QUERY SELECT m.* FROM public.ml_metrics_1h AS m WHERE m.bucket >= v_from AND m.bucket < least(v_to, v_until);
    IF v_to > v_until THEN
        RETURN QUERY SELECT * FROM ml.merge_minutes(greatest(v_from, v_until), v_to);
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.metrics_by_hour IS
    'Roll-ups by hour from p_from up to p_to: stored ones where they are final, counted from minutes and log where not.';
REVOKE ALL ON FUNCTION ml.metrics_by_hour FROM PUBLIC;
