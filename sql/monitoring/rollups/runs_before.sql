-- Says whether a transaction of this database with an id below p_xid may have been running at a snapshot.
-- Called by: ml.roll_up. Calls: nothing. Reads: pg_catalog. Writes: nothing.
--
-- A snapshot names the running transactions below its xmax, of every database of the server; from xmax on all are
-- running. Of these, the ones whose lock belongs to a session of another database cannot write here. What has no such
-- lock any more has ended since, or is a prepared transaction: it counts.

CREATE OR REPLACE FUNCTION ml.runs_before(p_xid xid8, p_snapshot pg_snapshot)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_xmax CONSTANT bigint := pg_snapshot_xmax(p_snapshot)::text::bigint;
    v_beyond CONSTANT bigint := greatest(p_xid::text::bigint - v_xmax, 0);
    v_named CONSTANT xid[] := ARRAY(
        SELECT running.id::xid FROM pg_snapshot_xip(p_snapshot) AS running (id) WHERE running.id < p_xid
    );
    v_elsewhere xid[];
BEGIN
    IF v_beyond = 0 AND v_named = '{}' THEN
        RETURN false;
    END IF;
    v_elsewhere := ARRAY(
        SELECT l.transactionid
        FROM pg_locks AS l
        INNER JOIN pg_stat_activity AS a ON a.pid = l.pid
        WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
            AND a.datid <> (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    );
    RETURN EXISTS (SELECT FROM unnest(v_named) AS running (id) WHERE running.id <> ALL (v_elsewhere))
        -- Locks show the lower 32 bits of an id.
        OR v_beyond > (
            SELECT count(*) FROM unnest(v_elsewhere) AS other (id)
            WHERE ((other.id::text::bigint - v_xmax) & 4294967295) < v_beyond
        );
END
$function$;
COMMENT ON FUNCTION ml.runs_before IS
    'Says whether a transaction of this database with an id below p_xid may have been running at a snapshot.';
REVOKE ALL ON FUNCTION ml.runs_before FROM PUBLIC;
