CREATE FUNCTION linear_scaled(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_score double precision;
  v_result_1 double precision;
BEGIN
  IF (pg_catalog.array_ndims(p_features) OPERATOR(pg_catalog.=) 1 AND pg_catalog.array_lower(p_features, 1) OPERATOR(pg_catalog.=) 1 AND pg_catalog.array_upper(p_features, 1) OPERATOR(pg_catalog.>=) 2) IS NOT TRUE THEN
    IF p_features IS NULL THEN
      RETURN NULL;
    END IF;
    RAISE EXCEPTION 'p_features must be a one-dimensional array of at least 2 values' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF pg_catalog.array_upper(p_features, 1) OPERATOR(pg_catalog.>) 2 THEN
    p_features := p_features[1:2];
  END IF;
  p_features := pg_catalog.array_replace(p_features, 'NaN'::double precision, NULL::double precision);
  IF 'Infinity'::double precision OPERATOR(pg_catalog.<=) ANY (p_features) OR '-Infinity'::double precision OPERATOR(pg_catalog.>=) ANY (p_features) THEN
    PERFORM "ml".check_features(p_features, 'Infinity'::double precision, TRUE);
  END IF;
  v_score := '0'::double precision;
  FOR v_position IN 1..2 LOOP
    v_score := v_score OPERATOR(pg_catalog.+) (((COALESCE(p_features[v_position], ('{1,2}'::double precision[])[v_position]) OPERATOR(pg_catalog.-) ('{1,2}'::double precision[])[v_position]) OPERATOR(pg_catalog./) ('{3,0.5}'::double precision[])[v_position]) OPERATOR(pg_catalog.*) ('{0.5,0.5}'::double precision[])[v_position]);
  END LOOP;
  v_result_1 := "ml".expit(v_score);
  RETURN ARRAY['1'::double precision OPERATOR(pg_catalog.-) v_result_1, v_result_1];
END
$function$;
