-- What a baseline keeps of the values of one feature: moments, extremes, and Doane's bins or categories with counts.
-- Called by: ml_set_baseline. Calls: ml.doane_edges. Reads: nothing. Writes: nothing.

-- p_values are finite. Of categories, edges are the categories themselves in ascending order.
CREATE OR REPLACE FUNCTION ml.describe_values(
    p_values double precision[],
    p_kind text,
    OUT n bigint,
    OUT mean double precision,
    OUT sd_pop double precision,
    OUT min double precision,
    OUT max double precision,
    OUT edges double precision[],
    OUT counts bigint[],
    OUT categories jsonb
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    SELECT count(*), avg(value), stddev_pop(value), pg_catalog.min(value), pg_catalog.max(value)
    INTO n, mean, sd_pop, min, max
    FROM unnest(p_values) AS value;
    IF n = 0 THEN
        RETURN;
    ELSIF p_kind = 'categorical' THEN
        SELECT
            array_agg(category.value ORDER BY category.value), array_agg(category.readings ORDER BY category.value),
            jsonb_object_agg(category.value::text, category.readings)
        INTO edges, counts, categories
        FROM (SELECT value, count(*) AS readings FROM unnest(p_values) AS value GROUP BY value) AS category;
    ELSE
        edges := ml.doane_edges(p_values);
        SELECT array_agg(coalesce(counted.readings, 0) ORDER BY bin.i) INTO counts
        FROM generate_series(1, cardinality(edges) - 1) AS bin (i)
        LEFT JOIN (
            SELECT
                CASE WHEN value = describe_values.max THEN cardinality(describe_values.edges) - 1
                    ELSE width_bucket(value, describe_values.edges)
                END AS i,
                count(*) AS readings
            FROM unnest(p_values) AS value
            GROUP BY 1
        ) AS counted ON counted.i = bin.i;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.describe_values IS
    'What a baseline keeps of the values of one feature: moments, extremes, and Doane''s bins or categories with counts.';
REVOKE ALL ON FUNCTION ml.describe_values FROM PUBLIC;
