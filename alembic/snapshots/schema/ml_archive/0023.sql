-- Schema ml_archive holds weeks of the log that are past their retention and wait for `trainer export`.
-- Called by: nothing. Calls: nothing. Reads: pg_catalog. Writes: nothing.

DO $preflight$
BEGIN
    IF to_regnamespace('ml_archive') IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'duplicate_object',
            MESSAGE = 'schema ml_archive exists already and was not made by these migrations: rename it first';
    END IF;
END
$preflight$;
CREATE SCHEMA ml_archive;
COMMENT ON SCHEMA ml_archive IS
    'Schema ml_archive holds weeks of the log that are past their retention and wait for `trainer export`.';
REVOKE ALL ON SCHEMA ml_archive FROM PUBLIC;
