CREATE FUNCTION boosted_without_missing(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
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
  IF pg_catalog.array_position(p_features, NULL::double precision) IS NOT NULL OR 'Infinity'::double precision OPERATOR(pg_catalog.<=) ANY (p_features) OR '-Infinity'::double precision OPERATOR(pg_catalog.>=) ANY (p_features) THEN
    PERFORM "ml".check_features(p_features, 'Infinity'::double precision, FALSE);
  END IF;
  v_score := '3'::double precision;
  FOREACH v_node IN ARRAY '{1}'::integer[] LOOP
    WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
      v_node := CASE
        WHEN p_features[('{1}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{0.5}'::double precision[])[v_node]
        THEN ('{-1}'::integer[])[v_node]
        ELSE ('{-2}'::integer[])[v_node]
      END;
    END LOOP;
    v_score := v_score OPERATOR(pg_catalog.+) ('[-2:-1]={0.2,0.1}'::double precision[])[v_node];
  END LOOP;
  RETURN ARRAY[v_score];
END
$function$;
