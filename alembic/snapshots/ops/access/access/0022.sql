-- Gives the roles their rights; loaded after everything that rights are given on.
-- Called by: migrations, sql/install.sql. Calls: ml.grant_access. Reads: nothing. Writes: roles and rights.

DO $access$
BEGIN
    PERFORM ml.grant_access();
END
$access$;
