-- Exponential function in single precision: bit by bit the C library's expf, zero and infinity out of its range.
-- Called by: compiled models, sigmoid_single, softmax_single. Calls: nothing. Reads: nothing. Writes: nothing.
-- Argument and result are float32 values. The exponent is counted in units of 1/32 of a doubling: the whole part
-- selects a root and a power of two, and a cubic polynomial takes the remainder. The C library computes the remainder
-- by one instruction that multiplies and subtracts; here the factor has two parts, so that the first product is exact.
CREATE OR REPLACE FUNCTION @schema@.exponential_single(p_x double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_whole double precision;
  v_rest double precision;
  v_step integer;
BEGIN
  IF p_x OPERATOR(pg_catalog.<) '-103.97207641601562'::double precision THEN
    RETURN '0'::double precision;
  ELSIF p_x OPERATOR(pg_catalog.>) '88.72283172607422'::double precision THEN
    RETURN 'Infinity'::double precision;
  END IF;
  v_whole := pg_catalog.round(p_x OPERATOR(pg_catalog.*) '46.16624130844683'::double precision);
  v_rest := ((p_x OPERATOR(pg_catalog.*) '46.16624069213867'::double precision) OPERATOR(pg_catalog.-) v_whole)
    OPERATOR(pg_catalog.+) (p_x OPERATOR(pg_catalog.*) '6.163081565091488e-07'::double precision);
  v_step := v_whole::integer;
  v_rest := (((((('1.6938359250920212e-06'::double precision OPERATOR(pg_catalog.*) v_rest)
    OPERATOR(pg_catalog.+) '0.00023459809789509004'::double precision) OPERATOR(pg_catalog.*) v_rest)
    OPERATOR(pg_catalog.+) '0.021660849396613134'::double precision) OPERATOR(pg_catalog.*) v_rest)
    OPERATOR(pg_catalog.+) '1'::double precision)
    OPERATOR(pg_catalog.*) (
      '{1,1.0218971486541166,1.0442737824274138,1.0671404006768237,'
      '1.0905077326652577,1.1143867425958924,1.1387886347566916,1.1637248587775775,'
      '1.189207115002721,1.215247359980469,1.241857812073484,1.2690509571917332,'
      '1.2968395546510096,1.3252366431597413,1.3542555469368927,1.383909881963832,'
      '1.4142135623730951,1.4451808069770467,1.4768261459394993,1.5091644275934228,'
      '1.5422108254079407,1.5759808451078865,1.6104903319492543,1.645755478153965,'
      '1.681792830507429,1.718619298122478,1.7562521603732995,1.7947090750031072,'
      '1.8340080864093424,1.8741676341103,1.9152065613971474,1.9571441241754002}'::double precision[]
    )[(v_step OPERATOR(pg_catalog.&) 31) OPERATOR(pg_catalog.+) 1];
  -- Exact: a power of two, and the result is far from the ends of double precision. The cast rounds, once.
  RETURN (
    v_rest OPERATOR(pg_catalog.*)
      pg_catalog.power('2'::double precision, (v_step OPERATOR(pg_catalog.>>) 5)::double precision)
  )::real::double precision;
END
$function$;

COMMENT ON FUNCTION @schema@.exponential_single(double precision) IS
'Exponential function in single precision: bit by bit the C library''s expf, zero and infinity out of its range.';
