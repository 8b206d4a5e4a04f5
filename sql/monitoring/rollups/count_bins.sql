-- Counts how often each bin number from 1 to p_size occurs: element i is the count of bin i, up to the last one that occurs.
-- Called by: ml.summarize_predictions. Calls: nothing. Reads: nothing. Writes: nothing.
--
-- With p_keep_zeros the array has p_size elements, also when no bin occurs.

CREATE OR REPLACE FUNCTION ml.count_bins(p_bins integer [], p_size integer DEFAULT 74, p_keep_zeros boolean DEFAULT false)
RETURNS bigint []
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_counts bigint[];
    v_bin integer;
    v_last integer := 0;
BEGIN
    IF p_bins IS NULL AND NOT p_keep_zeros THEN
        RETURN '{}'::bigint[];
    END IF;
    v_counts := array_fill(0::bigint, ARRAY[p_size]);
    IF p_bins IS NULL THEN
        RETURN v_counts;
    END IF;
    FOREACH v_bin IN ARRAY p_bins LOOP
        v_counts[v_bin] := v_counts[v_bin] + 1;
        IF v_bin > v_last THEN
            v_last := v_bin;
        END IF;
    END LOOP;
    RETURN CASE WHEN p_keep_zeros THEN v_counts ELSE v_counts[:v_last] END;
END
$function$;
COMMENT ON FUNCTION ml.count_bins IS
    'Counts how often each bin number from 1 to p_size occurs: element i is the count of bin i, up to the last one that occurs.';
REVOKE ALL ON FUNCTION ml.count_bins FROM PUBLIC;
