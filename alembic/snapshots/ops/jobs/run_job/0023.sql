-- Runs the steps of a job in order, unless it has run already or is running, and records the run in ml_jobs.
-- Called by: ml.tick, ml.nightly. Calls: ml.lock_job, ml.refusal_to_run, ml.run_step. Reads: ml_jobs.
-- Writes: ml_jobs.

CREATE OR REPLACE FUNCTION ml.run_job(p_job text, p_at timestamptz, p_every interval, p_steps text [])
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_refusal text;
    v_step text;
    v_result jsonb;
    v_steps jsonb := '{}'::jsonb;
    v_failed text[] := '{}'::text[];
    v_report jsonb;
BEGIN
    IF NOT ml.lock_job(p_job) THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', 'another session is running it');
    END IF;
    v_refusal := ml.refusal_to_run(p_job, p_at, p_every);
    IF v_refusal IS NOT NULL THEN
        RETURN jsonb_build_object('status', 'skipped', 'reason', v_refusal);
    END IF;
    FOREACH v_step IN ARRAY p_steps LOOP
        v_result := ml.run_step(v_step, p_at);
        v_steps := v_steps || jsonb_build_object(v_step, v_result);
        IF v_result ->> 'status' = 'failed' THEN
            v_failed := v_failed || format('%s: %s (%s)', v_step, v_result ->> 'error', v_result ->> 'sqlstate');
        END IF;
    END LOOP;
    v_report := jsonb_build_object('status', 'done', 'at', p_at, 'failed', to_jsonb(v_failed), 'steps', v_steps);
    INSERT INTO public.ml_jobs AS j (job, last_run_at, started_at, finished_at, runs, report, last_error)
    VALUES (
        p_job, p_at, v_started, clock_timestamp(), 1, v_report, nullif(array_to_string(v_failed, '; '), '')
    )
    ON CONFLICT (job) DO UPDATE SET
        last_run_at = excluded.last_run_at,
        started_at = excluded.started_at,
        finished_at = excluded.finished_at,
        runs = j.runs + 1,
        report = excluded.report,
        last_error = excluded.last_error;
    RETURN v_report;
END
$function$;
COMMENT ON FUNCTION ml.run_job IS
    'Runs the steps of a job in order, unless it has run already or is running, and records the run in ml_jobs.';
REVOKE ALL ON FUNCTION ml.run_job FROM PUBLIC;
