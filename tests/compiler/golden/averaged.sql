CREATE FUNCTION averaged(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_score double precision;
  v_score_2 double precision;
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
  v_score := '0'::double precision;
  v_score_2 := '0'::double precision;
  FOREACH v_node IN ARRAY '{1,2}'::integer[] LOOP
    WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
      v_node := CASE
        WHEN p_features[('{1,1}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{0.5,0.5}'::double precision[])[v_node]
        THEN ('{-1,-3}'::integer[])[v_node]
        ELSE ('{-2,-4}'::integer[])[v_node]
      END;
    END LOOP;
    v_score := v_score OPERATOR(pg_catalog.+) ('[-4:-1]={0,0.5,1,0.25}'::double precision[])[v_node];
    v_score_2 := v_score_2 OPERATOR(pg_catalog.+) ('[-4:-1]={1,0.5,0,0.75}'::double precision[])[v_node];
  END LOOP;
  RETURN ARRAY[v_score OPERATOR(pg_catalog./) '2'::double precision, v_score_2 OPERATOR(pg_catalog./) '2'::double precision];
END
$function$;
