-- Product that is zero where PostgreSQL raises an error, because it is too small for double precision.
-- Called by: compiled models, interpolate. Calls: nothing. Reads: nothing. Writes: nothing.
-- It is when the exact product is at most 2^-1075, which is tested with both factors scaled by 2^537.
CREATE OR REPLACE FUNCTION @schema@.product(p_left double precision, p_right double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN LEAST(pg_catalog.abs(p_left), pg_catalog.abs(p_right)) OPERATOR(pg_catalog.>) '1e-150'::double precision
    OR GREATEST(pg_catalog.abs(p_left), pg_catalog.abs(p_right)) OPERATOR(pg_catalog.>=) '1'::double precision
  THEN p_left OPERATOR(pg_catalog.*) p_right
  WHEN (pg_catalog.abs(p_left) OPERATOR(pg_catalog.*) '4.4989137945431964e+161'::double precision)
    OPERATOR(pg_catalog.*) (pg_catalog.abs(p_right) OPERATOR(pg_catalog.*) '4.4989137945431964e+161'::double precision)
    OPERATOR(pg_catalog.<=) '0.5'::double precision
  THEN '0'::double precision
  ELSE p_left OPERATOR(pg_catalog.*) p_right
END;

COMMENT ON FUNCTION @schema@.product(double precision, double precision) IS
'Product that is zero where PostgreSQL raises an error, because it is too small for double precision.';
