-- Mean of the rows of a two-dimensional array: added in order from zero, then divided by their number.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- A quotient that rounds to zero is an error in PostgreSQL: n times 2^-1074 does so when divided by 2 n or more.
CREATE OR REPLACE FUNCTION @schema@.mean_of_rows(p_rows double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_rows integer := pg_catalog.array_length(p_rows, 1);
  v_vanishing double precision := (v_rows OPERATOR(pg_catalog./) 2)::double precision
    OPERATOR(pg_catalog.*) '5e-324'::double precision;
  v_sum double precision;
  v_means double precision[] := '{}'::double precision[];
BEGIN
  FOR v_column IN 1..pg_catalog.array_length(p_rows, 2) LOOP
    v_sum := '0'::double precision;
    FOR v_row IN 1..v_rows LOOP
      v_sum := v_sum OPERATOR(pg_catalog.+) p_rows[v_row][v_column];
    END LOOP;
    v_means[v_column] := CASE
      WHEN pg_catalog.abs(v_sum) OPERATOR(pg_catalog.<=) v_vanishing THEN '0'::double precision
      ELSE v_sum OPERATOR(pg_catalog./) v_rows::double precision
    END;
  END LOOP;
  RETURN v_means;
END
$function$;

COMMENT ON FUNCTION @schema@.mean_of_rows(double precision[]) IS
'Mean of the rows of a two-dimensional array: added in order from zero, then divided by their number.';
