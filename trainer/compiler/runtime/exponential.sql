-- Exponential function that gives zero or infinity where exp() raises a range error.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
CREATE OR REPLACE FUNCTION @schema@.exponential(p_x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN p_x OPERATOR(pg_catalog.<) '-745.1332191019411'::double precision THEN '0'::double precision
  WHEN p_x OPERATOR(pg_catalog.>) '709.782712893384'::double precision THEN 'Infinity'::double precision
  ELSE pg_catalog.exp(p_x)
END;

COMMENT ON FUNCTION @schema@.exponential(double precision) IS
'Exponential function that gives zero or infinity where exp() raises a range error.';
