-- Softmax of an array of scores: exponentials of the distance to the largest score, divided by their sum.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- The sum runs from the first score to the last. A quotient that rounds to zero is an error in PostgreSQL; it does so
-- when the dividend is at most 2^-1075 times the divisor, which is tested with both sides scaled by 2^1000.
CREATE OR REPLACE FUNCTION @schema@.softmax(p_scores double precision[]) RETURNS double precision[]
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
      WHEN v_score OPERATOR(pg_catalog.<) '-745.1332191019411'::double precision THEN '0'::double precision
      ELSE pg_catalog.exp(v_score)
    END;
    v_sum := v_sum OPERATOR(pg_catalog.+) v_score;
    v_position := v_position OPERATOR(pg_catalog.+) 1;
    v_shares[v_position] := v_score;
  END LOOP;
  FOR v_share IN 1..v_position LOOP
    v_score := v_shares[v_share];
    v_shares[v_share] := CASE
      WHEN (v_score OPERATOR(pg_catalog.*) '1.0715086071862673e301'::double precision)
        OPERATOR(pg_catalog.<=) (v_sum OPERATOR(pg_catalog.*) '2.6469779601696886e-23'::double precision)
      THEN '0'::double precision
      ELSE v_score OPERATOR(pg_catalog./) v_sum
    END;
  END LOOP;
  RETURN v_shares;
END
$function$;

COMMENT ON FUNCTION @schema@.softmax(double precision[]) IS
'Softmax of an array of scores: exponentials of the distance to the largest score, divided by their sum.';
