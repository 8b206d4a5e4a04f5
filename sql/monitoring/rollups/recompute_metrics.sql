-- Counts the log from p_from up to p_to once more and replaces the minutes and hours that lack predictions.
-- Called by: ml.roll_up, ml.run_step; by hand after predictions of the past were imported.
-- Calls: ml.summarize_predictions, ml.merge_minutes.
-- Reads: ml_predictions, ml_metrics_1m, ml_jobs. Writes: ml_metrics_1m, ml_metrics_1h.
--
-- Predictions are never changed, so a minute is complete when it has as many as the log. A minute that has more was
-- counted before its part of the log was archived, and stays. Before the first minute that is kept, the same is done by
-- the hour. Returns how many minutes, and hours of those times, were replaced.

CREATE OR REPLACE FUNCTION ml.recompute_metrics(p_from timestamptz, p_to timestamptz)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
    v_minute CONSTANT interval := interval '1 minute';
    v_hour CONSTANT interval := interval '1 hour';
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_state public.ml_jobs;
    v_from timestamptz;
    v_to timestamptz;
    v_first_minutes timestamptz;
    v_bucket timestamptz;
    v_replaced integer := 0;
    v_hours timestamptz[] := '{}'::timestamptz[];
BEGIN
    IF p_from IS NULL OR p_to IS NULL THEN
        RAISE EXCEPTION 'p_from or p_to is NULL: give both' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_state FROM public.ml_jobs AS j WHERE j.job = 'roll_up' FOR UPDATE;
    IF v_state.rolled_up_until IS NULL THEN
        RETURN 0;
    END IF;
    v_to := least(p_to, v_state.rolled_up_until);

    -- All is of before the first prediction: nothing to count.
    SELECT greatest(p_from, min(p.predicted_at)) INTO v_from FROM public.ml_predictions AS p;
    IF v_from < least(v_to, v_state.minutes_from) THEN
        v_from := date_bin(v_hour, v_from, v_origin);
        v_first_minutes := least(
            date_bin(v_hour, v_to + v_hour - interval '1 microsecond', v_origin), v_state.minutes_from,
            date_bin(v_hour, v_state.rolled_up_until, v_origin)
        );
        FOR v_bucket IN
            SELECT l.bucket
            FROM (
                SELECT date_bin(v_hour, p.predicted_at, v_origin) AS bucket, count(*) AS predictions
                FROM public.ml_predictions AS p
                WHERE p.predicted_at >= v_from AND p.predicted_at < v_first_minutes
                GROUP BY 1
            ) AS l
            LEFT JOIN (
                SELECT m.bucket, sum(m.predictions) AS predictions
                FROM public.ml_metrics_1h AS m
                WHERE m.bucket >= v_from AND m.bucket < v_first_minutes
                GROUP BY m.bucket
            ) AS s ON s.bucket = l.bucket
            WHERE l.predictions > coalesce(s.predictions, 0)
        LOOP
            DELETE FROM public.ml_metrics_1h AS m WHERE m.bucket = v_bucket;
            INSERT INTO public.ml_metrics_1h SELECT * FROM ml.summarize_predictions(v_bucket, v_bucket + v_hour, v_hour);
            v_replaced := v_replaced + 1;
        END LOOP;
    END IF;

    v_from := greatest(p_from, v_state.minutes_from);
    IF v_from >= v_to THEN
        RETURN v_replaced;
    END IF;
    v_from := date_bin(v_minute, v_from, v_origin);
    v_to := date_bin(v_minute, v_to + v_minute - interval '1 microsecond', v_origin);
    FOR v_bucket IN
        SELECT l.bucket
        FROM (
            SELECT date_bin(v_minute, p.predicted_at, v_origin) AS bucket, count(*) AS predictions
            FROM public.ml_predictions AS p
            WHERE p.predicted_at >= v_from AND p.predicted_at < v_to
            GROUP BY 1
        ) AS l
        LEFT JOIN (
            SELECT m.bucket, sum(m.predictions) AS predictions
            FROM public.ml_metrics_1m AS m
            WHERE m.bucket >= v_from AND m.bucket < v_to
            GROUP BY m.bucket
        ) AS s ON s.bucket = l.bucket
        WHERE l.predictions > coalesce(s.predictions, 0)
    LOOP
        DELETE FROM public.ml_metrics_1m AS m WHERE m.bucket = v_bucket;
        INSERT INTO public.ml_metrics_1m SELECT * FROM ml.summarize_predictions(v_bucket, v_bucket + v_minute, v_minute);
        v_replaced := v_replaced + 1;
        IF NOT date_bin(v_hour, v_bucket, v_origin) = ANY (v_hours) THEN
            v_hours := v_hours || date_bin(v_hour, v_bucket, v_origin);
        END IF;
    END LOOP;
    FOREACH v_bucket IN ARRAY v_hours LOOP
        CONTINUE WHEN v_bucket + v_hour > v_state.rolled_up_until;
        DELETE FROM public.ml_metrics_1h AS m WHERE m.bucket = v_bucket;
        INSERT INTO public.ml_metrics_1h SELECT * FROM ml.merge_minutes(v_bucket, v_bucket + v_hour);
    END LOOP;
    RETURN v_replaced;
END
$function$;
COMMENT ON FUNCTION ml.recompute_metrics IS
    'Counts the log from p_from up to p_to once more and replaces the minutes and hours that lack predictions.';
REVOKE ALL ON FUNCTION ml.recompute_metrics FROM PUBLIC;
