-- Broken line through points in single precision, level beyond its ends.
-- It gives slope * (x - point) + height with the numbers of the last point below x.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- Arguments and result are float32 values. The product of two of them is exact in double precision; one that rounds to
-- zero in single precision would be an error in PostgreSQL.
CREATE OR REPLACE FUNCTION @schema@.interpolate_single(
  p_x double precision, p_points double precision[], p_heights double precision[], p_slopes double precision[]
) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_last integer := pg_catalog.array_upper(p_points, 1);
  v_x double precision := LEAST(GREATEST(p_x, p_points[1]), p_points[v_last]);
  v_place integer := pg_catalog.width_bucket(v_x, p_points);
  v_product double precision;
BEGIN
  IF v_last OPERATOR(pg_catalog.=) 1 THEN
    RETURN p_heights[1];
  END IF;
  IF v_place OPERATOR(pg_catalog.>) 1 AND p_points[v_place] OPERATOR(pg_catalog.=) v_x THEN
    v_place := v_place OPERATOR(pg_catalog.-) 1;
  END IF;
  v_product := p_slopes[v_place]
    OPERATOR(pg_catalog.*) (v_x::real OPERATOR(pg_catalog.-) p_points[v_place]::real)::double precision;
  IF pg_catalog.abs(v_product) OPERATOR(pg_catalog.<=) '7.006492321624085e-46'::double precision THEN
    v_product := '0'::double precision;
  END IF;
  RETURN (v_product::real OPERATOR(pg_catalog.+) p_heights[v_place]::real)::double precision;
END
$function$;

COMMENT ON FUNCTION
  @schema@.interpolate_single(double precision, double precision[], double precision[], double precision[]) IS
'Broken line through points in single precision, level beyond its ends.';
