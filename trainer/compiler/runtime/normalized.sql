-- Values that are not negative, divided by their sum; all the same where the sum is zero.
-- Called by: compiled models. Calls: pairwise_sum. Reads: nothing. Writes: nothing.
-- A quotient that rounds to zero is an error in PostgreSQL; it does so when the dividend is at most 2^-1075 times the
-- divisor, which is tested with both sides scaled by 2^1000. Divided by a tiny sum, no value comes near to zero.
CREATE OR REPLACE FUNCTION @schema@.normalized(p_values double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_sum double precision := @schema@.pairwise_sum(p_values);
  v_size integer := pg_catalog.cardinality(p_values);
  v_shares double precision[] := p_values;
BEGIN
  FOR v_place IN 1..v_size LOOP
    v_shares[v_place] := CASE
      WHEN v_sum OPERATOR(pg_catalog.=) '0'::double precision
      THEN '1'::double precision OPERATOR(pg_catalog./) v_size::double precision
      WHEN v_sum OPERATOR(pg_catalog.<) '1e-200'::double precision
      THEN v_shares[v_place] OPERATOR(pg_catalog./) v_sum
      WHEN (v_shares[v_place] OPERATOR(pg_catalog.*) '1.0715086071862673e301'::double precision)
        OPERATOR(pg_catalog.<=) (v_sum OPERATOR(pg_catalog.*) '2.6469779601696886e-23'::double precision)
      THEN '0'::double precision
      ELSE v_shares[v_place] OPERATOR(pg_catalog./) v_sum
    END;
  END LOOP;
  RETURN v_shares;
END
$function$;

COMMENT ON FUNCTION @schema@.normalized(double precision[]) IS
'Values that are not negative, divided by their sum; all the same where the sum is zero.';
