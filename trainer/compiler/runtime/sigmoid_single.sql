-- Logistic function 1 / (1 + exp(-x)) in single precision, the exponent cut at 88.7.
-- Called by: compiled models. Calls: exponential_single. Reads: nothing. Writes: nothing.
-- Argument and result are float32 values.
CREATE OR REPLACE FUNCTION @schema@.sigmoid_single(p_x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('1'::real OPERATOR(pg_catalog./) (
  @schema@.exponential_single(LEAST(OPERATOR(pg_catalog.-) p_x, '88.69999694824219'::double precision))::real
    OPERATOR(pg_catalog.+) '1'::real
))::double precision;

COMMENT ON FUNCTION @schema@.sigmoid_single(double precision) IS
'Logistic function 1 / (1 + exp(-x)) in single precision, the exponent cut at 88.7.';
