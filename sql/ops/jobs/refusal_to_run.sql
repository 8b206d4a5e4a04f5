-- Says why a job must not run for p_at: it has run for that minute or day already, or for a later one; NULL when it may.
-- Called by: ml.run_job. Calls: nothing. Reads: ml_jobs. Writes: nothing.
--
-- A run in which a step failed may be repeated. A last run at a time that has not come yet, when p_at has, was a mistake
-- or the work of a clock that was ahead: it holds up nothing.

CREATE OR REPLACE FUNCTION ml.refusal_to_run(p_job text, p_at timestamptz, p_every interval)
RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
-- Times are written as text.
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
DECLARE
    v_origin CONSTANT timestamptz := timestamptz '2000-01-01 00:00:00+00';
    v_slack CONSTANT interval := interval '1 minute';
    v_job public.ml_jobs;
BEGIN
    IF p_at IS NULL OR NOT isfinite(p_at) THEN
        RAISE EXCEPTION 'p_at is %: give a time', coalesce(p_at::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO v_job FROM public.ml_jobs AS j WHERE j.job = p_job;
    IF v_job.last_run_at > clock_timestamp() + v_slack AND p_at <= clock_timestamp() + v_slack THEN
        RETURN NULL;
    END IF;
    IF date_bin(p_every, p_at, v_origin) = date_bin(p_every, v_job.last_run_at, v_origin) AND v_job.last_error IS NULL THEN
        RETURN format('it has run for this %s already, at %s',
            CASE WHEN p_every = interval '1 day' THEN 'day' ELSE 'minute' END, v_job.last_run_at);
    END IF;
    IF p_at < v_job.last_run_at THEN
        RETURN format('p_at %s is before that of the last run, %s', p_at, v_job.last_run_at);
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.refusal_to_run IS
    'Says why a job must not run for p_at: it has run for that minute or day already, or for a later one; NULL when it may.';
REVOKE ALL ON FUNCTION ml.refusal_to_run FROM PUBLIC;
