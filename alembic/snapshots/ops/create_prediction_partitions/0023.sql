-- Makes the weekly partitions of ml_predictions from the week of p_at on, without blocking writers.
-- Called by: migrations, ml.run_step, trainer demo, trainer backfill. Calls: ml.lock_job. Reads: pg_catalog, ml_archives.
-- Writes: partitions of ml_predictions.

CREATE OR REPLACE FUNCTION ml.create_prediction_partitions(
    p_at timestamptz DEFAULT now(), p_weeks_ahead integer DEFAULT 26
)
RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
-- Bounds are written as text: the same text in every session.
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
DECLARE
    v_first timestamptz := date_trunc('week', p_at);
    v_from timestamptz;
    v_name text;
    v_grantee name;
    v_created integer := 0;
BEGIN
    PERFORM ml.lock_job('partitions', true);
    FOR v_week IN 0..p_weeks_ahead LOOP
        v_from := v_first + v_week * interval '168 hours';
        v_name := 'ml_predictions_' || to_char(v_from, 'IYYY"w"IW');
        -- A week that retention has taken out of the log stays out: its rows are in ml_archive or in a file. One that is
        -- not over yet is still written to.
        IF (v_from + interval '168 hours' > clock_timestamp() OR (
                to_regclass(format('ml_archive.%I', v_name)) IS NULL
                AND NOT EXISTS (SELECT FROM public.ml_archives AS a WHERE a.partition = v_name)
            ))
            AND NOT EXISTS (
                SELECT FROM pg_inherits AS i
                WHERE i.inhparent = 'public.ml_predictions'::regclass
                    AND i.inhrelid = to_regclass(format('public.%I', v_name))
            )
        THEN
            -- A table of that name is a partition that was detached; it is taken back with its rows.
            IF to_regclass(format('public.%I', v_name)) IS NULL THEN
                -- CREATE TABLE ... PARTITION OF would lock the parent against writers; ATTACH does not.
                EXECUTE format(
                    'CREATE TABLE public.%I (LIKE public.ml_predictions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
                -- Some servers give rights on every new table by default; the log is reached through its parent alone.
                FOR v_grantee IN
                    SELECT DISTINCT r.rolname
                    FROM pg_class AS c
                    CROSS JOIN aclexplode(c.relacl) AS e
                    INNER JOIN pg_roles AS r ON r.oid = e.grantee
                    WHERE c.oid = to_regclass(format('public.%I', v_name)) AND e.grantee <> c.relowner
                LOOP
                    EXECUTE format('REVOKE ALL ON TABLE public.%I FROM %I', v_name, v_grantee);
                END LOOP;
            END IF;
            EXECUTE format(
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
