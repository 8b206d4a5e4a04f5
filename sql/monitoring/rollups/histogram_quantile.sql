-- Quantile of a latency histogram in milliseconds, within 12 % of percentile_disc; NULL for an empty histogram.
-- Called by: readers of ml_metrics_1m and ml_metrics_1h. Calls: nothing. Reads: nothing. Writes: nothing.
--
-- The latency of rank ceil(fraction * n) lies in the first bucket whose running count reaches that rank. The geometric
-- middle of a bucket that ends 1.25 times above its start is never further than sqrt(1.25) = 1.118 times away. The last
-- bucket has no end: its start is given, 11.9 s.

CREATE OR REPLACE FUNCTION ml.histogram_quantile(p_histogram bigint [], p_fraction double precision)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_total bigint := 0;
    v_rank double precision;
    v_running bigint := 0;
    v_count bigint;
    v_bucket integer := 0;
BEGIN
    -- NaN sorts above every number.
    IF p_fraction < 0 OR p_fraction > 1 THEN
        RAISE EXCEPTION 'p_fraction is %: it must be 0 to 1', p_fraction USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_histogram IS NULL OR p_fraction IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH v_count IN ARRAY p_histogram LOOP
        v_total := v_total + v_count;
    END LOOP;
    IF v_total = 0 THEN
        RETURN NULL;
    END IF;
    v_rank := greatest(ceil(p_fraction * v_total), 1);
    FOREACH v_count IN ARRAY p_histogram LOOP
        v_bucket := v_bucket + 1;
        v_running := v_running + v_count;
        EXIT WHEN v_running >= v_rank;
    END LOOP;
    RETURN CASE WHEN v_bucket < 74 THEN power(1.25::pg_catalog.float8, v_bucket - 0.5) ELSE power(1.25::pg_catalog.float8, 73) END / 1000;
END
$function$;
COMMENT ON FUNCTION ml.histogram_quantile IS
    'Quantile of a latency histogram in milliseconds, within 12 % of percentile_disc; NULL for an empty histogram.';
REVOKE ALL ON FUNCTION ml.histogram_quantile FROM PUBLIC;
