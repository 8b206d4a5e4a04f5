-- What is due every minute: rolls up what is final of the log, then evaluates the alert rules.
-- Called by: pg_cron, trainer tick, operators. Calls: ml.run_job. Reads: ml_jobs. Writes: ml_jobs.
--
-- A second run for the same minute, or at the same time, does nothing and says so. A step that fails is in the report and
-- does not stop the next.

CREATE OR REPLACE FUNCTION ml.tick(p_at timestamptz DEFAULT now())
RETURNS jsonb
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Nothing here waits long for a row that another session has changed.
SET lock_timeout = '2s'
AS $function$
    SELECT ml.run_job('tick', p_at, interval '1 minute', ARRAY['roll_up', 'alerts'])
$function$;
COMMENT ON FUNCTION ml.tick IS
    'What is due every minute: rolls up what is final of the log, then evaluates the alert rules.';
REVOKE ALL ON FUNCTION ml.tick FROM PUBLIC;
