-- What crosses the network: no call of a model, which runs inside the database, and the lag of each replica.
-- Called by: dashboards. Calls: nothing. Reads: pg_stat_replication. Writes: nothing.

CREATE VIEW ml.v_ml_network AS
SELECT
    pg_catalog.statement_timestamp() AS time,
    'model' AS peer,
    'runs inside the database' AS state,
    0::bigint AS remote_calls,
    NULL::bigint AS lag_bytes,
    0::double precision AS lag_ms
UNION ALL
SELECT
    pg_catalog.statement_timestamp() AS time,
    'replica ' || coalesce(nullif(r.application_name, ''), r.pid::pg_catalog.text) AS peer,
    coalesce(r.state, 'hidden: pg_read_all_stats shows it') AS state,
    NULL::bigint AS remote_calls,
    CASE WHEN NOT pg_catalog.pg_is_in_recovery()
        THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn)::bigint
    END AS lag_bytes,
    (extract(EPOCH FROM r.replay_lag) * 1000)::double precision AS lag_ms
FROM pg_catalog.pg_stat_replication AS r;
COMMENT ON VIEW ml.v_ml_network IS
    'What crosses the network: no call of a model, which runs inside the database, and the lag of each replica.';
COMMENT ON COLUMN ml.v_ml_network.time IS 'Now: the moment of the query.';
COMMENT ON COLUMN ml.v_ml_network.peer IS 'model, or a replica by its application_name.';
COMMENT ON COLUMN ml.v_ml_network.state IS
    'State of the connection; hidden from readers without pg_read_all_stats. SQL cannot see the network of the host.';
COMMENT ON COLUMN ml.v_ml_network.remote_calls IS 'Calls over the network that scoring makes: none.';
COMMENT ON COLUMN ml.v_ml_network.lag_bytes IS 'Bytes of WAL that the replica has not replayed; NULL: not visible.';
COMMENT ON COLUMN ml.v_ml_network.lag_ms IS
    'Milliseconds from commit here to replay there; NULL: not visible, or nothing was written lately.';
