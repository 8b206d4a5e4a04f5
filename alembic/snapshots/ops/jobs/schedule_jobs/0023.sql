-- Schedules ml.tick every minute and ml.nightly every night by pg_cron; without it, says how to do that elsewhere.
-- Called by: operators. Calls: cron.schedule. Reads: pg_catalog. Writes: cron.job.
--
-- The names of the jobs are fixed, so a second call changes nothing but the times. A third job keeps the history of
-- pg_cron itself to a week, of these jobs alone.

CREATE OR REPLACE FUNCTION ml.schedule_jobs(p_nightly text DEFAULT '17 2 * * *')
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_schedule CONSTANT text := 'SELECT cron.schedule($1, $2, $3)';
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'pg_cron') THEN
        RETURN jsonb_build_object(
            'status', 'not_scheduled',
            'reason', 'pg_cron is not installed in this database: let cron or systemd run `trainer tick` every minute and'
            || ' `trainer nightly` every night, or create the extension and call this again'
        );
    END IF;
    EXECUTE v_schedule USING 'pattern-confidence tick', '* * * * *', 'SELECT ml.tick()';
    EXECUTE v_schedule USING 'pattern-confidence nightly', p_nightly, 'SELECT ml.nightly()';
    EXECUTE v_schedule USING 'pattern-confidence history', '47 3 * * *',
        $$DELETE FROM cron.job_run_details WHERE end_time < now() - interval '7 days' AND jobid IN ($$
        || $$SELECT jobid FROM cron.job WHERE jobname LIKE 'pattern-confidence %')$$;
    RETURN jsonb_build_object(
        'status', 'scheduled', 'tick', '* * * * *', 'nightly', p_nightly, 'time_zone', 'that of pg_cron, GMT by default'
    );
END
$function$;
COMMENT ON FUNCTION ml.schedule_jobs IS
    'Schedules ml.tick every minute and ml.nightly every night by pg_cron; without it, says how to do that elsewhere.';
REVOKE ALL ON FUNCTION ml.schedule_jobs FROM PUBLIC;
