-- Drops one week that has left the log, if it has as many rows as were exported; NULL, or why that failed.
-- Called by: ml.apply_retention, ml.record_archive. Calls: nothing. Reads: ml_archives, ml_settings.
-- Writes: schema ml_archive, ml_archives.
--
-- With p_unexported it goes without an export too, and ml_archives says how many rows went, and by which settings.
-- p_rows: how many it has, when they have been counted already.

CREATE OR REPLACE FUNCTION ml.drop_week(
    p_partition text, p_unexported boolean DEFAULT false, p_rows bigint DEFAULT NULL
)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
SET intervalstyle = 'postgres'
AS $function$
DECLARE
    v_rows bigint := p_rows;
BEGIN
    EXECUTE format('LOCK TABLE ml_archive.%I IN ACCESS EXCLUSIVE MODE', p_partition);
    IF v_rows IS NULL THEN
        EXECUTE format('SELECT count(*) FROM ml_archive.%I', p_partition) INTO v_rows;
    END IF;
    IF NOT EXISTS (
        SELECT FROM public.ml_archives AS a WHERE a.partition = p_partition AND a.rows = v_rows AND a.file IS NOT NULL
    ) THEN
        IF NOT p_unexported THEN
            RETURN format('it has %s rows, and no export has as many: run trainer export', v_rows);
        END IF;
        INSERT INTO public.ml_archives (partition, rows, dropped_by_setting)
        SELECT
            p_partition, v_rows, format('archive_required = false, retention_predictions = %s', s.retention_predictions)
        FROM public.ml_settings AS s;
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
