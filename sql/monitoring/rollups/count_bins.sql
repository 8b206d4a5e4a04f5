-- Counts how often each bin number occurs: element i of the result is the count of bin i.
-- Called by: ml.summarize_predictions. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.count_bins(p_bins integer [], p_size integer DEFAULT 0)
RETURNS bigint []
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_counts bigint[] := array_fill(0::bigint, ARRAY[p_size]);
    v_size integer := p_size;
    v_bin integer;
BEGIN
    IF p_bins IS NULL THEN
        RETURN v_counts;
    END IF;
    FOREACH v_bin IN ARRAY p_bins LOOP
        IF v_bin > v_size THEN
            v_counts := v_counts || array_fill(0::bigint, ARRAY[v_bin - v_size]);
            v_size := v_bin;
        END IF;
        v_counts[v_bin] := v_counts[v_bin] + 1;
    END LOOP;
    RETURN v_counts;
END
$function$;
COMMENT ON FUNCTION ml.count_bins IS
    'Counts how often each bin number occurs: element i of the result is the count of bin i.';
REVOKE ALL ON FUNCTION ml.count_bins FROM PUBLIC;
