-- One row for each week that was taken out of the log: the file it was exported to, or why it was dropped without one.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_archives (
    partition text NOT NULL,
    exported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    exported_by text NOT NULL DEFAULT ml.acting_role(),
    rows bigint NOT NULL,
    first_predicted_at timestamptz,
    last_predicted_at timestamptz,
    file text,
    bytes bigint,
    sha256 text,
    dropped_by_setting text,
    CONSTRAINT ml_archives_pkey PRIMARY KEY (partition, exported_at),
    CONSTRAINT ml_archives_file_check CHECK (
        pg_catalog.num_nulls(file, bytes, sha256) = CASE WHEN dropped_by_setting IS NULL THEN 0 ELSE 3 END
    )
);
COMMENT ON TABLE public.ml_archives IS
    'One row for each week that was taken out of the log: the file it was exported to, or why it was dropped without one.';
COMMENT ON COLUMN public.ml_archives.partition IS 'Name that the week had as a partition of ml_predictions.';
COMMENT ON COLUMN public.ml_archives.exported_at IS 'When it was exported, or dropped without an export.';
COMMENT ON COLUMN public.ml_archives.file IS
    'Where the file was written, on the machine that exported it; NULL: the rows were dropped without an export.';
COMMENT ON COLUMN public.ml_archives.dropped_by_setting IS
    'The settings that let the rows be dropped without an export; NULL when they were exported.';
COMMENT ON COLUMN public.ml_archives.sha256 IS 'SHA-256 of the file, in hexadecimal.';
