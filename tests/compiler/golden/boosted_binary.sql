CREATE FUNCTION boosted_binary(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_columns double precision[];
  v_score double precision;
  v_node integer;
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
  v_columns := pg_catalog.array_cat(p_features, pg_catalog.array_replace(pg_catalog.array_replace(p_features, 'NaN'::double precision, '-Infinity'::double precision), NULL::double precision, '-Infinity'::double precision));
  v_score := '-0.5'::double precision;
  FOREACH v_node IN ARRAY '{1,-3,2}'::integer[] LOOP
    WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
      v_node := CASE
        WHEN v_columns[('{3,2}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{0.5,0.5}'::double precision[])[v_node]
        THEN ('{-1,-4}'::integer[])[v_node]
        ELSE ('{-2,-5}'::integer[])[v_node]
      END;
    END LOOP;
    v_score := v_score OPERATOR(pg_catalog.+) ('[-5:-1]={0.4,0.3,0.25,0.2,0.1}'::double precision[])[v_node];
  END LOOP;
  v_result_1 := "ml".expit(v_score);
  RETURN ARRAY['1'::double precision OPERATOR(pg_catalog.-) v_result_1, v_result_1];
END
$function$;
