-- Makes switches of the live version wait for each other, for two seconds at most; scoring takes no lock of this kind.
-- Called by: ml.promote, ml.rollback. Calls: nothing. Reads: pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.lock_switches()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $function$
DECLARE
    v_key CONSTANT bigint := hashtextextended('ml.promote', 0);
    v_holder integer;
BEGIN
    PERFORM pg_advisory_xact_lock(v_key);
EXCEPTION WHEN lock_not_available THEN
    SELECT lock.pid INTO v_holder
    FROM pg_locks AS lock
    JOIN pg_database AS here ON here.oid = lock.database AND here.datname = current_database()
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
        AND (lock.classid::bigint << 32) | lock.objid::bigint = v_key;
    RAISE EXCEPTION 'session % is in the middle of a promotion or rollback: let it commit, or end it with SELECT pg_terminate_backend(%)',
        v_holder, v_holder USING ERRCODE = 'lock_not_available';
END
$function$;
COMMENT ON FUNCTION ml.lock_switches IS
    'Makes switches of the live version wait for each other, for two seconds at most; scoring takes no lock of this kind.';
REVOKE ALL ON FUNCTION ml.lock_switches FROM PUBLIC;
