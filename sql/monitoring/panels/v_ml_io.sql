-- How many blocks of each table were found in shared buffers and how many were read from outside, since statistics began.
-- Called by: dashboards. Calls: nothing. Reads: pg_statio_user_tables, pg_stat_user_tables. Writes: nothing.

CREATE VIEW ml.v_ml_io AS
SELECT
    pg_catalog.statement_timestamp() AS time,
    counted.table_name,
    counted.blocks_hit,
    counted.blocks_read,
    counted.blocks_hit / nullif(counted.blocks_hit + counted.blocks_read, 0)::double precision AS hit_rate,
    counted.rows_written,
    counted.dead_rows
FROM (
    SELECT
        coalesce(parent.relname, io.relname)::pg_catalog.text AS table_name,
        sum(
            coalesce(io.heap_blks_hit, 0) + coalesce(io.idx_blks_hit, 0) + coalesce(io.toast_blks_hit, 0)
            + coalesce(io.tidx_blks_hit, 0)
        )::bigint AS blocks_hit,
        sum(
            coalesce(io.heap_blks_read, 0) + coalesce(io.idx_blks_read, 0) + coalesce(io.toast_blks_read, 0)
            + coalesce(io.tidx_blks_read, 0)
        )::bigint AS blocks_read,
        sum(activity.n_tup_ins + activity.n_tup_upd + activity.n_tup_del)::bigint AS rows_written,
        sum(activity.n_dead_tup)::bigint AS dead_rows
    FROM pg_catalog.pg_statio_user_tables AS io
    JOIN pg_catalog.pg_stat_user_tables AS activity ON activity.relid = io.relid
    JOIN pg_catalog.pg_class AS c ON c.oid = io.relid
    LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid AND c.relispartition
    LEFT JOIN pg_catalog.pg_class AS parent ON parent.oid = i.inhparent
    WHERE io.schemaname = 'ml' OR (io.schemaname = 'public' AND (
        coalesce(parent.relname, io.relname) LIKE 'ml\_%'
        OR io.relname IN (
            'pattern_events', 'price_bars', 'pattern_labels', 'confidence_overrides', 'pattern_lifecycle_history')
    ))
    GROUP BY coalesce(parent.relname, io.relname)
) AS counted;
COMMENT ON VIEW ml.v_ml_io IS
    'How many blocks of each table were found in shared buffers and how many were read from outside, since statistics began.';
COMMENT ON COLUMN ml.v_ml_io.time IS 'Now: the moment of the query; the counts are totals since the statistics were reset.';
COMMENT ON COLUMN ml.v_ml_io.table_name IS 'Table with its indexes and TOAST; partitions count with their table.';
COMMENT ON COLUMN ml.v_ml_io.blocks_hit IS 'Blocks (8 kB) found in shared buffers.';
COMMENT ON COLUMN ml.v_ml_io.blocks_read IS
    'Blocks (8 kB) asked from the operating system, whose cache may have had them: SQL cannot see the disk of the host.';
COMMENT ON COLUMN ml.v_ml_io.hit_rate IS 'Share (0 to 1) of blocks_hit in both.';
COMMENT ON COLUMN ml.v_ml_io.rows_written IS 'Rows inserted, updated and deleted.';
COMMENT ON COLUMN ml.v_ml_io.dead_rows IS 'Rows that VACUUM has still to remove, estimated.';
