-- Adds two objects of counts key by key.
-- Called by: ml.merge_counts. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.add_counts(p_sum jsonb, p_counts jsonb)
RETURNS jsonb
LANGUAGE plpgsql
IMMUTABLE STRICT PARALLEL SAFE
AS $function$
BEGIN
    IF p_counts = '{}' THEN
        RETURN p_sum;
    END IF;
    IF p_sum = '{}' THEN
        RETURN p_counts;
    END IF;
    RETURN (
        SELECT jsonb_object_agg(counts.key, counts.total)
        FROM (
            SELECT given.key, sum(given.value::bigint) AS total
            FROM (
                SELECT a.key, a.value FROM jsonb_each_text(p_sum) AS a
                UNION ALL
                SELECT b.key, b.value FROM jsonb_each_text(p_counts) AS b
            ) AS given
            GROUP BY given.key
        ) AS counts
    );
END
$function$;
COMMENT ON FUNCTION ml.add_counts IS 'Adds two objects of counts key by key.';
REVOKE ALL ON FUNCTION ml.add_counts FROM PUBLIC;
