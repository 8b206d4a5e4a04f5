-- Edges of bins of equal width between two bounds, as numpy's linspace computes them.
-- Called by: ml.doane_edges, ml.bin_together. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.equal_width_edges(p_low double precision, p_high double precision, p_bins integer)
RETURNS double precision[]
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT array_agg(
        CASE WHEN edge.i = p_bins THEN p_high ELSE edge.i * ((p_high - p_low) / p_bins) + p_low END ORDER BY edge.i)
    FROM generate_series(0, p_bins) AS edge (i)
$function$;
COMMENT ON FUNCTION ml.equal_width_edges IS
    'Edges of bins of equal width between two bounds, as numpy''s linspace computes them.';
REVOKE ALL ON FUNCTION ml.equal_width_edges FROM PUBLIC;
