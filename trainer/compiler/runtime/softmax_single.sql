-- Softmax in single precision: only the sum of the exponentials is kept in double precision until it is complete.
-- Called by: compiled models. Calls: exponential_single. Reads: nothing. Writes: nothing.
-- Arguments and results are float32 values. A quotient of two of them, taken in double precision and then rounded, is
-- the float32 quotient; one that rounds to zero would be an error in PostgreSQL.
CREATE OR REPLACE FUNCTION @schema@.softmax_single(p_scores double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_largest double precision := '-Infinity'::double precision;
  v_sum double precision := '0'::double precision;
  v_score double precision;
  v_position integer := 0;
  v_shares double precision[] := '{}'::double precision[];
BEGIN
  FOREACH v_score IN ARRAY p_scores LOOP
    v_largest := GREATEST(v_largest, v_score);
  END LOOP;
  FOREACH v_score IN ARRAY p_scores LOOP
    v_score := v_score OPERATOR(pg_catalog.-) v_largest;
    v_score := CASE
      WHEN v_score OPERATOR(pg_catalog.<) '-104'::double precision THEN '0'::double precision
      ELSE @schema@.exponential_single(v_score::real::double precision)
    END;
    v_sum := v_sum OPERATOR(pg_catalog.+) v_score;
    v_position := v_position OPERATOR(pg_catalog.+) 1;
    v_shares[v_position] := v_score;
  END LOOP;
  v_sum := v_sum::real::double precision;
  FOR v_share IN 1..v_position LOOP
    v_score := v_shares[v_share] OPERATOR(pg_catalog./) v_sum;
    v_shares[v_share] := CASE
      WHEN v_score OPERATOR(pg_catalog.<=) '7.006492321624085e-46'::double precision THEN '0'::double precision
      ELSE v_score::real::double precision
    END;
  END LOOP;
  RETURN v_shares;
END
$function$;

COMMENT ON FUNCTION @schema@.softmax_single(double precision[]) IS
'Softmax in single precision: only the sum of the exponentials is kept in double precision until it is complete.';
