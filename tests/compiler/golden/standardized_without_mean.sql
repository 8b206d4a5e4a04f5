CREATE FUNCTION standardized_without_mean(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_columns double precision[];
  v_value double precision;
  v_score double precision;
  v_node integer;
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
  IF 'Infinity'::double precision OPERATOR(pg_catalog.<=) ANY (p_features) OR '-Infinity'::double precision OPERATOR(pg_catalog.>=) ANY (p_features) THEN
    PERFORM "ml".check_features(p_features, 'Infinity'::double precision, TRUE);
  END IF;
  v_columns := '{}'::double precision[];
  FOR v_position IN 1..2 LOOP
    v_value := p_features[v_position];
    v_columns[v_position] := CASE WHEN pg_catalog.abs(v_value) OPERATOR(pg_catalog.<=) ('{5e-323,0}'::double precision[])[v_position] THEN '0'::double precision ELSE v_value OPERATOR(pg_catalog./) ('{20,1}'::double precision[])[v_position] END;
  END LOOP;
  v_score := '0'::double precision;
  FOREACH v_node IN ARRAY '{1}'::integer[] LOOP
    WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
      v_node := CASE
        WHEN v_columns[('{1}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{0.5}'::double precision[])[v_node]
        THEN ('{-1}'::integer[])[v_node]
        ELSE ('{-2}'::integer[])[v_node]
      END;
    END LOOP;
    v_score := v_score OPERATOR(pg_catalog.+) ('[-2:-1]={2,1}'::double precision[])[v_node];
  END LOOP;
  RETURN ARRAY[v_score OPERATOR(pg_catalog./) '1'::double precision];
END
$function$;
