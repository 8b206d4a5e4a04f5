CREATE FUNCTION vote(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_score double precision;
  v_score_2 double precision;
  v_node integer;
  v_vector double precision[];
  v_score_3 double precision;
  v_score_4 double precision;
  v_vector_2 double precision[];
  v_means double precision[];
  v_total double precision;
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
  v_score := '0'::double precision;
  v_score_2 := '0'::double precision;
  FOREACH v_node IN ARRAY '{1}'::integer[] LOOP
    WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
      v_node := CASE
        WHEN p_features[('{1}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{0.5}'::double precision[])[v_node]
        THEN ('{-1}'::integer[])[v_node]
        ELSE ('{-2}'::integer[])[v_node]
      END;
    END LOOP;
    v_score := v_score OPERATOR(pg_catalog.+) ('[-2:-1]={1,0.25}'::double precision[])[v_node];
    v_score_2 := v_score_2 OPERATOR(pg_catalog.+) ('[-2:-1]={0,0.75}'::double precision[])[v_node];
  END LOOP;
  v_vector := ARRAY[v_score OPERATOR(pg_catalog./) '1'::double precision, v_score_2 OPERATOR(pg_catalog./) '1'::double precision];
  v_score_3 := '0'::double precision;
  v_score_4 := '0'::double precision;
  FOREACH v_node IN ARRAY '{1}'::integer[] LOOP
    WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
      v_node := CASE
        WHEN p_features[('{1}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{1.5}'::double precision[])[v_node]
        THEN ('{-1}'::integer[])[v_node]
        ELSE ('{-2}'::integer[])[v_node]
      END;
    END LOOP;
    v_score_3 := v_score_3 OPERATOR(pg_catalog.+) ('[-2:-1]={1,0.25}'::double precision[])[v_node];
    v_score_4 := v_score_4 OPERATOR(pg_catalog.+) ('[-2:-1]={0,0.75}'::double precision[])[v_node];
  END LOOP;
  v_vector_2 := ARRAY[v_score_3 OPERATOR(pg_catalog./) '1'::double precision, v_score_4 OPERATOR(pg_catalog./) '1'::double precision];
  v_means := '{}'::double precision[];
  FOR v_element IN 1..2 LOOP
    v_total := v_vector[v_element] OPERATOR(pg_catalog.+) v_vector_2[v_element];
    v_means[v_element] := CASE WHEN pg_catalog.abs(v_total) OPERATOR(pg_catalog.<=) '5e-324'::double precision THEN '0'::double precision ELSE v_total OPERATOR(pg_catalog./) '2'::double precision END;
  END LOOP;
  RETURN v_means;
END
$function$;
