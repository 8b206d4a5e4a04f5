-- Records that a week of the log was exported to a file, and drops the week; refuses when it has other rows than the file.
-- Called by: trainer export. Calls: ml.drop_week. Reads: schema ml_archive. Writes: ml_archives, schema ml_archive.

CREATE OR REPLACE FUNCTION ml.record_archive(
    p_partition text,
    p_rows bigint,
    p_first_predicted_at timestamptz,
    p_last_predicted_at timestamptz,
    p_file text,
    p_bytes bigint,
    p_sha256 text
)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_problem text;
BEGIN
    INSERT INTO public.ml_archives (partition, rows, first_predicted_at, last_predicted_at, file, bytes, sha256)
    VALUES (p_partition, p_rows, p_first_predicted_at, p_last_predicted_at, p_file, p_bytes, p_sha256);
    v_problem := ml.drop_week(p_partition);
    IF v_problem IS NOT NULL THEN
        RAISE EXCEPTION '% was not dropped: %', p_partition, v_problem
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.record_archive IS
    'Records that a week of the log was exported to a file, and drops the week; refuses when it has other rows than the file.';
REVOKE ALL ON FUNCTION ml.record_archive FROM PUBLIC;
