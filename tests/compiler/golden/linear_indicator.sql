CREATE FUNCTION linear_indicator(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_score double precision;
  v_columns double precision[];
  v_scores double precision[];
  v_value double precision;
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
  v_columns := '{}'::double precision[];
  FOR v_position IN 1..2 LOOP
    v_columns[v_position] := COALESCE(p_features[v_position], ('{1,2}'::double precision[])[v_position]);
  END LOOP;
  FOR v_position IN 1..1 LOOP
    v_columns[v_position OPERATOR(pg_catalog.+) 2] := CASE WHEN p_features[('{2}'::integer[])[v_position]] IS NULL THEN '1'::double precision ELSE '0'::double precision END;
  END LOOP;
  v_scores := '{}'::double precision[];
  FOR v_output IN 1..3 LOOP
    v_score := ('{0,0,0}'::double precision[])[v_output];
    FOR v_position IN 1..3 LOOP
      v_value := v_columns[v_position];
      v_score := v_score OPERATOR(pg_catalog.+) CASE WHEN pg_catalog.abs(v_value) OPERATOR(pg_catalog.<) '1e-100'::double precision THEN '0'::double precision ELSE v_value OPERATOR(pg_catalog.*) ('{{0.5,0.5,0.5},{0.5,0.5,0.5},{0.5,0.5,0.5}}'::double precision[])[v_output][v_position] END;
    END LOOP;
    v_scores[v_output] := v_score;
  END LOOP;
  RETURN "ml".softmax(v_scores);
END
$function$;
