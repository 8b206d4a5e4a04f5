-- Adds two histograms bin by bin; a shorter one has zeros at its end.
-- Called by: ml.merge_histograms. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.add_histograms(p_sum bigint [], p_histogram bigint [])
RETURNS bigint []
LANGUAGE plpgsql
IMMUTABLE STRICT PARALLEL SAFE
AS $function$
BEGIN
    IF cardinality(p_histogram) = 0 THEN
        RETURN p_sum;
    END IF;
    IF cardinality(p_sum) = 0 THEN
        RETURN p_histogram;
    END IF;
    RETURN ARRAY(
        SELECT coalesce(bins.a, 0) + coalesce(bins.b, 0)
        FROM unnest(p_sum, p_histogram) WITH ORDINALITY AS bins (a, b, bin)
        ORDER BY bins.bin
    );
END
$function$;
COMMENT ON FUNCTION ml.add_histograms IS 'Adds two histograms bin by bin; a shorter one has zeros at its end.';
REVOKE ALL ON FUNCTION ml.add_histograms FROM PUBLIC;
