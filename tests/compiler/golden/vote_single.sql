CREATE FUNCTION vote_single(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_score real;
  v_node integer;
  v_vector double precision[];
  v_means double precision[];
  v_total_single real;
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
  v_score := '0'::real;
  FOREACH v_node IN ARRAY '{-1}'::integer[] LOOP
    WHILE v_node OPERATOR(pg_catalog.>) 0 LOOP
      v_node := CASE
        WHEN p_features[('{}'::integer[])[v_node]] OPERATOR(pg_catalog.<=) ('{}'::double precision[])[v_node]
        THEN ('{}'::integer[])[v_node]
        ELSE ('{}'::integer[])[v_node]
      END;
    END LOOP;
    v_score := v_score OPERATOR(pg_catalog.+) ('[-1:-1]={0.25}'::real[])[v_node];
  END LOOP;
  v_vector := ARRAY[(v_score)::double precision];
  v_means := '{}'::double precision[];
  v_total_single := v_vector[1]::real OPERATOR(pg_catalog.+) v_vector[1]::real;
  v_means[1] := CASE WHEN pg_catalog.abs((v_total_single)::double precision) OPERATOR(pg_catalog.<=) '1.401298464324817e-45'::double precision THEN '0'::double precision ELSE (((v_total_single)::double precision OPERATOR(pg_catalog./) '2'::double precision)::real)::double precision END;
  RETURN v_means;
END
$function$;
