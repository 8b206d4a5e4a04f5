-- Broken line through points, level beyond its ends.
-- At a point it gives the height, between two points slope * (x - point) + height with the numbers of the left one.
-- Called by: compiled models. Calls: product. Reads: nothing. Writes: nothing.
CREATE OR REPLACE FUNCTION @schema@.interpolate(
  p_x double precision, p_points double precision[], p_heights double precision[], p_slopes double precision[]
) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_place integer := pg_catalog.width_bucket(p_x, p_points);
  v_distance double precision;
BEGIN
  IF v_place OPERATOR(pg_catalog.=) 0 THEN
    RETURN p_heights[1];
  END IF;
  v_distance := p_x OPERATOR(pg_catalog.-) p_points[v_place];
  IF v_distance OPERATOR(pg_catalog.=) '0'::double precision
    OR v_place OPERATOR(pg_catalog.=) pg_catalog.array_upper(p_points, 1)
  THEN
    RETURN p_heights[v_place];
  END IF;
  RETURN @schema@.product(p_slopes[v_place], v_distance) OPERATOR(pg_catalog.+) p_heights[v_place];
END
$function$;

COMMENT ON FUNCTION
  @schema@.interpolate(double precision, double precision[], double precision[], double precision[]) IS
'Broken line through points, level beyond its ends.';
