-- Takes the jobs of ml.schedule_jobs out of pg_cron; returns how many there were.
-- Called by: operators. Calls: cron.unschedule. Reads: cron.job, pg_catalog. Writes: cron.job.

CREATE OR REPLACE FUNCTION ml.unschedule_jobs()
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_unschedule CONSTANT text := 'SELECT count(cron.unschedule(j.jobid)) FROM cron.job AS j'
        || $$ WHERE j.jobname LIKE 'pattern-confidence %' AND j.database = current_database()$$;
    v_jobs integer;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'pg_cron') THEN
        RETURN 0;
    END IF;
    EXECUTE v_unschedule INTO v_jobs;
    RETURN v_jobs;
END
$function$;
COMMENT ON FUNCTION ml.unschedule_jobs IS
    'Takes the jobs of ml.schedule_jobs out of pg_cron; returns how many there were.';
REVOKE ALL ON FUNCTION ml.unschedule_jobs FROM PUBLIC;
