CREATE FUNCTION boosted_classes(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_score double precision;
  v_scores double precision[];
  v_output integer;
  v_roots integer[];
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
  v_scores := '{0,0,0}'::double precision[];
  v_output := 0;
  FOREACH v_roots SLICE 1 IN ARRAY '{{1},{-3},{2}}'::integer[] LOOP
    v_output := v_output OPERATOR(pg_catalog.+) 1;
    v_score := v_scores[v_output];
    FOREACH v_node IN ARRAY v_roots LOOP
      WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
        v_node := CASE
          WHEN p_features[('{1,1}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{0.5,0.5}'::double precision[])[v_node]
          THEN ('{-1,-4}'::integer[])[v_node]
          ELSE ('{-2,-5}'::integer[])[v_node]
        END;
      END LOOP;
      v_score := v_score OPERATOR(pg_catalog.+) ('[-5:-1]={0.4,0.3,0.25,0.2,0.1}'::double precision[])[v_node];
    END LOOP;
    v_scores[v_output] := v_score;
  END LOOP;
  RETURN "ml".softmax(v_scores);
END
$function$;
