-- Sum in the order of numpy: in order below eight values, pairwise from there on.
-- That is eight partial sums side by side, and more than 128 values in two halves.
-- Called by: normalized. Calls: itself. Reads: nothing. Writes: nothing.
CREATE OR REPLACE FUNCTION @schema@.pairwise_sum(p_values double precision[]) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_size integer := pg_catalog.cardinality(p_values);
  v_half integer;
  v_last integer := 0;
  v_partial double precision[];
  v_place integer;
  v_sum double precision := '0'::double precision;
BEGIN
  IF v_size OPERATOR(pg_catalog.>) 128 THEN
    v_half := v_size OPERATOR(pg_catalog./) 2;
    v_half := v_half OPERATOR(pg_catalog.-) (v_half OPERATOR(pg_catalog.%) 8);
    RETURN @schema@.pairwise_sum(p_values[1:v_half])
      OPERATOR(pg_catalog.+) @schema@.pairwise_sum(p_values[(v_half OPERATOR(pg_catalog.+) 1):v_size]);
  END IF;
  IF v_size OPERATOR(pg_catalog.>=) 8 THEN
    v_last := v_size OPERATOR(pg_catalog.-) (v_size OPERATOR(pg_catalog.%) 8);
    v_partial := p_values[1:8];
    FOR v_index IN 9..v_last LOOP
      v_place := ((v_index OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.%) 8) OPERATOR(pg_catalog.+) 1;
      v_partial[v_place] := v_partial[v_place] OPERATOR(pg_catalog.+) p_values[v_index];
    END LOOP;
    v_sum := (
      (v_partial[1] OPERATOR(pg_catalog.+) v_partial[2]) OPERATOR(pg_catalog.+)
      (v_partial[3] OPERATOR(pg_catalog.+) v_partial[4])
    ) OPERATOR(pg_catalog.+) (
      (v_partial[5] OPERATOR(pg_catalog.+) v_partial[6]) OPERATOR(pg_catalog.+)
      (v_partial[7] OPERATOR(pg_catalog.+) v_partial[8])
    );
  END IF;
  FOR v_index IN (v_last OPERATOR(pg_catalog.+) 1)..v_size LOOP
    v_sum := v_sum OPERATOR(pg_catalog.+) p_values[v_index];
  END LOOP;
  RETURN v_sum;
END
$function$;

COMMENT ON FUNCTION @schema@.pairwise_sum(double precision[]) IS
'Sum in the order of numpy: in order below eight values, pairwise from there on.';
