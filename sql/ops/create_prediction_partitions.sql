-- Makes the weekly partitions of ml_predictions from the week of p_at on, without blocking writers.
-- Called by: migrations, trainer demo, trainer backfill. Calls: nothing. Reads: pg_catalog. Writes: partitions.

CREATE OR REPLACE FUNCTION ml.create_prediction_partitions(p_at timestamptz DEFAULT now(), p_weeks_ahead integer DEFAULT 12)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $function$
DECLARE
    -- Weeks start on Monday in UTC, whatever the session's time zone.
    v_first timestamp := pg_catalog.date_trunc('week', p_at AT TIME ZONE 'UTC');
    v_from timestamptz;
    v_name text;
    v_created integer := 0;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('ml.create_prediction_partitions', 0));
    FOR v_week IN 0..p_weeks_ahead LOOP
        v_from := (v_first + v_week * interval '7 days') AT TIME ZONE 'UTC';
        v_name := 'ml_predictions_' || pg_catalog.to_char(v_from AT TIME ZONE 'UTC', 'IYYY"w"IW');
        IF pg_catalog.to_regclass('public.' || v_name) IS NULL THEN
            -- CREATE TABLE ... PARTITION OF would lock the parent against writers; ATTACH does not.
            EXECUTE pg_catalog.format(
                'CREATE TABLE public.%I (LIKE public.ml_predictions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
            EXECUTE pg_catalog.format(
                'ALTER TABLE public.ml_predictions ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                v_name, v_from, v_from + interval '168 hours');
            v_created := v_created + 1;
        END IF;
    END LOOP;
    RETURN v_created;
END
$function$;
COMMENT ON FUNCTION ml.create_prediction_partitions IS
    'Makes the weekly partitions of ml_predictions from the week of p_at on, without blocking writers.';
REVOKE ALL ON FUNCTION ml.create_prediction_partitions FROM PUBLIC;
