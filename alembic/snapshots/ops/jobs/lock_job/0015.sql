-- Takes the lock of a job until the transaction ends; false, at once, when another session has it, unless p_wait is true.
-- Called by: ml.roll_up, ml.evaluate_alerts, ml.run_drift, ml.run_performance, ml.run_job, ml.apply_retention,
--            ml.create_prediction_partitions.
-- Calls: nothing. Reads: nothing. Writes: ml.job_locks.

CREATE OR REPLACE FUNCTION ml.lock_job(p_job text, p_wait boolean DEFAULT false)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM ml.job_locks AS l WHERE l.job = p_job) THEN
        -- The row of this job was deleted.
        INSERT INTO ml.job_locks (job) VALUES (p_job) ON CONFLICT (job) DO NOTHING;
    END IF;
    IF p_wait THEN
        PERFORM FROM ml.job_locks AS l WHERE l.job = p_job FOR UPDATE;
    ELSE
        PERFORM FROM ml.job_locks AS l WHERE l.job = p_job FOR UPDATE SKIP LOCKED;
    END IF;
    RETURN FOUND;
END
$function$;
COMMENT ON FUNCTION ml.lock_job IS
    'Takes the lock of a job until the transaction ends; false, at once, when another session has it, unless p_wait is true.';
REVOKE ALL ON FUNCTION ml.lock_job FROM PUBLIC;
