CREATE TEMPORARY TABLE parity_rows (
    place integer,
    features double precision[]
) ON COMMIT DROP
