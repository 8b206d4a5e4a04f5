-- Weeks of the log that have left it and are not dropped yet; exported ones have a row with a file in ml_archives.
-- Called by: ml.apply_retention, trainer export. Calls: nothing. Reads: pg_catalog, ml_archives. Writes: nothing.

CREATE VIEW ml.archived_weeks AS
SELECT
    c.relname::pg_catalog.text AS partition,
    EXISTS (SELECT FROM public.ml_archives AS a WHERE a.partition = c.relname AND a.file IS NOT NULL) AS exported,
    pg_catalog.pg_total_relation_size(c.oid) AS bytes
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'ml_archive' AND c.relkind = 'r' AND c.relname ~ '^ml_predictions_[0-9]{4}w[0-9]{2}$';
COMMENT ON VIEW ml.archived_weeks IS
    'Weeks of the log that have left it and are not dropped yet; exported ones have a row with a file in ml_archives.';
