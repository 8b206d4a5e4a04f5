-- How large tables, their indexes and compiled models are now.
-- Called by: dashboards. Calls: nothing. Reads: pg_catalog. Writes: nothing.

CREATE VIEW ml.v_ml_memory AS
SELECT
    pg_catalog.statement_timestamp() AS time,
    sized.kind,
    sized.name,
    sized.bytes
FROM (
    -- A partition counts with its parent; ml_archive holds partitions that have left the log.
    SELECT
        'table' AS kind,
        CASE WHEN s.nspname = 'ml_archive' THEN 'ml_archive' ELSE coalesce(parent.relname, c.relname)::pg_catalog.text END AS name,
        sum(pg_catalog.pg_table_size(c.oid))::bigint AS bytes,
        sum(pg_catalog.pg_indexes_size(c.oid))::bigint AS index_bytes
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid AND c.relispartition
    LEFT JOIN pg_catalog.pg_class AS parent ON parent.oid = i.inhparent
    WHERE c.relkind = 'r' AND (
        s.nspname IN ('ml', 'ml_archive')
        OR (s.nspname = 'public' AND (
            coalesce(parent.relname, c.relname) LIKE 'ml\_%'
            OR c.relname IN (
                'pattern_events', 'price_bars', 'pattern_labels', 'confidence_overrides', 'pattern_lifecycle_history')
        ))
    )
    GROUP BY 2
) AS relation
CROSS JOIN LATERAL (
    VALUES ('table', relation.name, relation.bytes), ('index', relation.name, relation.index_bytes)
) AS sized (kind, name, bytes)
UNION ALL
SELECT
    pg_catalog.statement_timestamp() AS time,
    'model' AS kind,
    model.version AS name,
    sum(pg_catalog.octet_length(p.prosrc))::bigint AS bytes
FROM public.ml_models AS model
JOIN pg_catalog.pg_proc AS p
    ON p.proname IN ('score_' || model.version, 'features_' || model.version, 'explain_' || model.version)
JOIN pg_catalog.pg_namespace AS s ON s.oid = p.pronamespace AND s.nspname = 'ml_generated'
GROUP BY model.version;
COMMENT ON VIEW ml.v_ml_memory IS 'How large tables, their indexes and compiled models are now.';
COMMENT ON COLUMN ml.v_ml_memory.time IS 'Now: the moment of the query.';
COMMENT ON COLUMN ml.v_ml_memory.kind IS 'table (TOAST included), index (all of a table''s), or model (source text of its functions).';
COMMENT ON COLUMN ml.v_ml_memory.name IS 'Table or model version; partitions count with their table.';
COMMENT ON COLUMN ml.v_ml_memory.bytes IS
    'Bytes on disk. SQL cannot see the memory of other sessions; a model takes about 0.5 to 14 MB in each session that has scored.';
