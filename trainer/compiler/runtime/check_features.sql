-- Raises an error that names the first value which the compiled model's library would refuse as well.
-- Called by: compiled models, when a cheaper test has found something suspicious. Calls: nothing. Reads: nothing.
-- Writes: nothing.
CREATE OR REPLACE FUNCTION @schema@.check_features(
  p_values double precision[],
  p_limit double precision,
  p_allow_missing boolean
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
      IF NOT p_allow_missing THEN
        RAISE EXCEPTION 'feature % is missing, and this model takes no missing values', v_position
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
    ELSIF pg_catalog.abs(v_value) OPERATOR(pg_catalog.>=) p_limit THEN
      RAISE EXCEPTION 'feature % is %, and this model takes absolute values below % only', v_position, v_value, p_limit
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END LOOP;
END
$function$;

COMMENT ON FUNCTION @schema@.check_features(double precision[], double precision, boolean) IS
'Raises an error that names the first value which the compiled model''s library would refuse as well.';
