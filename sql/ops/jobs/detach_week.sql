-- Takes one weekly partition out of ml_predictions and moves it to schema ml_archive; NULL, or why that failed.
-- Called by: ml.apply_retention. Calls: nothing. Reads: pg_catalog. Writes: partitions of ml_predictions.
--
-- Detaching locks the whole log until the transaction ends: the wait for that lock, behind which writers queue, is cut
-- off after 100 ms, tried some times, and left for the next run.

CREATE OR REPLACE FUNCTION ml.detach_week(p_partition text, p_tries integer DEFAULT 3)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '100ms'
AS $function$
BEGIN
    FOR v_try IN 1..p_tries LOOP
        IF v_try > 1 THEN
            -- Writers that have queued go first.
            PERFORM pg_sleep(0.1);
        END IF;
        BEGIN
            EXECUTE format('ALTER TABLE public.ml_predictions DETACH PARTITION public.%I', p_partition);
            EXECUTE format('ALTER TABLE public.%I SET SCHEMA ml_archive', p_partition);
            RETURN NULL;
        EXCEPTION WHEN lock_not_available THEN
            CONTINUE;
        END;
    END LOOP;
    RETURN format('the log was in use for longer than 100 ms, %s times in a row', p_tries);
EXCEPTION WHEN OTHERS THEN
    RETURN format('%s (%s)', SQLERRM, SQLSTATE);
END
$function$;
COMMENT ON FUNCTION ml.detach_week IS
    'Takes one weekly partition out of ml_predictions and moves it to schema ml_archive; NULL, or why that failed.';
REVOKE ALL ON FUNCTION ml.detach_week FROM PUBLIC;
