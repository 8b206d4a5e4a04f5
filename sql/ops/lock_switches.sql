-- Makes switches of the live version wait for each other, for two seconds at most; scoring takes no lock of this kind.
-- Called by: ml.promote, ml.rollback, ml.set_challenger, ml.withdraw_challenger, ml.advance. Calls: nothing.
-- Reads: ml.switch_lock, pg_catalog. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.lock_switches()
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $function$
DECLARE
    v_holder integer;
BEGIN
    PERFORM 1 FROM ml.switch_lock FOR UPDATE;
EXCEPTION WHEN lock_not_available THEN
    SELECT lock.pid INTO v_holder
    FROM pg_locks AS lock
    WHERE lock.relation = 'ml.switch_lock'::regclass AND lock.granted AND lock.pid <> pg_backend_pid()
        AND lock.database = (SELECT here.oid FROM pg_database AS here WHERE here.datname = current_database())
    ORDER BY lock.pid LIMIT 1;
    RAISE EXCEPTION 'session % is in the middle of a promotion or rollback: let it commit, or end it with SELECT pg_terminate_backend(%)',
        v_holder, v_holder USING ERRCODE = 'lock_not_available';
END
$function$;
COMMENT ON FUNCTION ml.lock_switches IS
    'Makes switches of the live version wait for each other, for two seconds at most; scoring takes no lock of this kind.';
REVOKE ALL ON FUNCTION ml.lock_switches FROM PUBLIC;
