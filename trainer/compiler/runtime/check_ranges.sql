-- Raises an error that names the first feature outside the range in which the compiled model's library accepts it.
-- Called by: compiled models, when a cheaper test has found something suspicious. Calls: nothing. Reads: nothing.
-- Writes: nothing.
CREATE OR REPLACE FUNCTION @schema@.check_ranges(
  p_values double precision[],
  p_lowest double precision[],
  p_highest double precision[],
  p_missing_allowed boolean[]
) RETURNS pg_catalog.void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_value double precision;
  v_position integer := 0;
BEGIN
  FOREACH v_value IN ARRAY p_values LOOP
    v_position := v_position OPERATOR(pg_catalog.+) 1;
    IF v_value IS NULL OR v_value OPERATOR(pg_catalog.=) 'NaN'::double precision THEN
      IF NOT p_missing_allowed[v_position] THEN
        RAISE EXCEPTION 'feature % is missing, and this model takes no missing values there', v_position
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
    ELSIF v_value OPERATOR(pg_catalog.<) p_lowest[v_position]
      OR v_value OPERATOR(pg_catalog.>) p_highest[v_position]
    THEN
      RAISE EXCEPTION 'feature % is %, and this model takes values from % to % there',
        v_position, v_value, p_lowest[v_position], p_highest[v_position]
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END LOOP;
END
$function$;

COMMENT ON FUNCTION @schema@.check_ranges(double precision[], double precision[], double precision[], boolean[]) IS
'Raises an error that names the first feature outside the range in which the compiled model''s library accepts it.';
