-- Logistic function 1 / (1 + exp(-x)) without the range errors of exp().
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- The body is parsed here and now, so the caller's search_path has no say, and it is inlined where it is called.
CREATE OR REPLACE FUNCTION @schema@.expit(p_x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN p_x OPERATOR(pg_catalog.<) '-709.782712893384'::double precision THEN '0'::double precision
  WHEN p_x OPERATOR(pg_catalog.>) '745'::double precision THEN '1'::double precision
  ELSE '1'::double precision OPERATOR(pg_catalog./)
    ('1'::double precision OPERATOR(pg_catalog.+) pg_catalog.exp(OPERATOR(pg_catalog.-) p_x))
END;

COMMENT ON FUNCTION @schema@.expit(double precision) IS
'Logistic function 1 / (1 + exp(-x)) without the range errors of exp().';
