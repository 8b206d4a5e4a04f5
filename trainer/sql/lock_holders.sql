-- The tables of ours that other sessions have locked, with the processes that hold the locks, in words.
-- Called by: alembic/env.py. Calls: nothing. Reads: pg_catalog. Writes: nothing.

SELECT string_agg(held.said, ', ' ORDER BY held.said)
FROM (
    SELECT
        l.relation::regclass::text || ' (process '
        || string_agg(DISTINCT l.pid::text, ', process ' ORDER BY l.pid::text) || ')' AS said
    FROM pg_catalog.pg_locks AS l
    INNER JOIN pg_catalog.pg_database AS d ON d.oid = l.database
    INNER JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
    INNER JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE d.datname = current_database()
        AND l.granted
        AND l.pid <> pg_backend_pid()
        AND n.nspname IN ('public', 'ml')
        AND c.relkind IN ('r', 'p', 'v')
    GROUP BY l.relation
) AS held
