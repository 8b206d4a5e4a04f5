-- One row for each week of the log that was exported to a file, with what is needed to check that file.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE TABLE public.ml_archives (
    partition text NOT NULL,
    exported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    exported_by text NOT NULL DEFAULT ml.acting_role(),
    rows bigint NOT NULL,
    first_predicted_at timestamptz,
    last_predicted_at timestamptz,
    file text NOT NULL,
    bytes bigint NOT NULL,
    sha256 text NOT NULL,
    CONSTRAINT ml_archives_pkey PRIMARY KEY (partition, exported_at)
);
COMMENT ON TABLE public.ml_archives IS
    'One row for each week of the log that was exported to a file, with what is needed to check that file.';
COMMENT ON COLUMN public.ml_archives.partition IS 'Name that the week had as a partition of ml_predictions.';
COMMENT ON COLUMN public.ml_archives.file IS 'Where the file was written, on the machine that exported it.';
COMMENT ON COLUMN public.ml_archives.sha256 IS 'SHA-256 of the file, in hexadecimal.';
