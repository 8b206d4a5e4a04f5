-- Drops one week that has left the log, if it has as many rows as were exported; NULL, or why that failed.
-- Called by: ml.apply_retention, ml.record_archive. Calls: nothing. Reads: ml_archives. Writes: schema ml_archive.

CREATE OR REPLACE FUNCTION ml.drop_week(p_partition text, p_unexported boolean DEFAULT false)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $function$
DECLARE
    v_rows bigint;
BEGIN
    EXECUTE format('LOCK TABLE ml_archive.%I IN ACCESS EXCLUSIVE MODE', p_partition);
    IF NOT p_unexported THEN
        EXECUTE format('SELECT count(*) FROM ml_archive.%I', p_partition) INTO v_rows;
        IF NOT EXISTS (SELECT FROM public.ml_archives AS a WHERE a.partition = p_partition AND a.rows = v_rows) THEN
            RETURN format('it has %s rows, and no export has as many: run trainer export', v_rows);
        END IF;
    END IF;
    EXECUTE format('DROP TABLE ml_archive.%I', p_partition);
    RETURN NULL;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN 'another session uses it';
    WHEN OTHERS THEN
        RETURN format('%s (%s)', SQLERRM, SQLSTATE);
END
$function$;
COMMENT ON FUNCTION ml.drop_week IS
    'Drops one week that has left the log, if it has as many rows as were exported; NULL, or why that failed.';
REVOKE ALL ON FUNCTION ml.drop_week FROM PUBLIC;
