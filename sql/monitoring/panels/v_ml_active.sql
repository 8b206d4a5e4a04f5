-- What scores at this moment: running statements and open transactions on pattern_events, one row.
-- Called by: dashboards. Calls: nothing. Reads: pg_stat_activity, pg_locks. Writes: nothing.

-- Every role may read pg_locks. Of other roles' sessions, pg_stat_activity shows the statement only to members of
-- pg_read_all_stats; it asks for the rights of who reads the view, not of who owns it.
CREATE VIEW ml.v_ml_active AS
SELECT
    pg_catalog.statement_timestamp() AS time,
    activity.running_statements,
    activity.waiting_statements,
    activity.longest_seconds,
    (
        SELECT count(DISTINCT l.pid) FROM pg_catalog.pg_locks AS l
        WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
            AND l.relation = 'public.pattern_events'::pg_catalog.regclass
            AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
    ) AS writing_transactions,
    activity.hidden_sessions
FROM (
    SELECT
        count(*) FILTER (WHERE s.scores) AS running_statements,
        count(*) FILTER (WHERE s.scores AND s.wait_event_type = 'Lock') AS waiting_statements,
        -- A statement may have begun after this one.
        greatest(
            extract(EPOCH FROM max(pg_catalog.clock_timestamp() - s.query_start) FILTER (WHERE s.scores)), 0
        )::double precision AS longest_seconds,
        count(*) FILTER (WHERE s.query = '<insufficient privilege>') AS hidden_sessions
    FROM (
        SELECT
            a.query,
            a.query_start,
            a.wait_event_type,
            a.state = 'active' AND a.pid <> pg_catalog.pg_backend_pid()
            AND a.query ~* '\m(insert|update|copy|merge)\M.*\mpattern_events\M' AS scores
        FROM pg_catalog.pg_stat_activity AS a
        WHERE a.datname = pg_catalog.current_database()
    ) AS s
) AS activity;
COMMENT ON VIEW ml.v_ml_active IS
    'What scores at this moment: running statements and open transactions on pattern_events, one row.';
COMMENT ON COLUMN ml.v_ml_active.time IS 'Now: the moment of the query.';
COMMENT ON COLUMN ml.v_ml_active.running_statements IS
    'Running statements that write pattern_events, of the roles whose statements the reader may see (pg_read_all_stats: all).';
COMMENT ON COLUMN ml.v_ml_active.waiting_statements IS 'Those of running_statements that wait for a lock.';
COMMENT ON COLUMN ml.v_ml_active.longest_seconds IS 'Seconds since the oldest of running_statements began.';
COMMENT ON COLUMN ml.v_ml_active.writing_transactions IS 'Open transactions that have written pattern_events, of every role.';
COMMENT ON COLUMN ml.v_ml_active.hidden_sessions IS
    'Sessions whose statement the reader may not see; above 0, running_statements may be too small.';
