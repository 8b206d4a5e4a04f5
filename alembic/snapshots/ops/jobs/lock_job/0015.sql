-- Takes the lock of a job until the transaction ends; false, at once, when another session has it.
-- Called by: ml.roll_up, ml.evaluate_alerts, ml.run_job, ml.apply_retention. Calls: nothing. Reads: nothing.
-- Writes: ml.job_locks.

CREATE OR REPLACE FUNCTION ml.lock_job(p_job text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM FROM ml.job_locks AS l WHERE l.job = p_job FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        RETURN true;
    END IF;
    IF EXISTS (SELECT FROM ml.job_locks AS l WHERE l.job = p_job) THEN
        RETURN false;
    END IF;
    -- The row of this job was deleted.
    INSERT INTO ml.job_locks (job) VALUES (p_job) ON CONFLICT (job) DO NOTHING;
    PERFORM FROM ml.job_locks AS l WHERE l.job = p_job FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END
$function$;
COMMENT ON FUNCTION ml.lock_job IS
    'Takes the lock of a job until the transaction ends; false, at once, when another session has it.';
REVOKE ALL ON FUNCTION ml.lock_job FROM PUBLIC;
