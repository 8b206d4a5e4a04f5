CREATE FUNCTION layers_relu(p_features double precision[]) RETURNS double precision[]
LANGUAGE plpgsql AS $function$
DECLARE
  v_input_1 double precision;
  v_input_2 double precision;
  v_weights double precision[];
  v_unit integer;
  v_activation double precision;
  v_units double precision[];
  v_input_3 double precision;
  v_units_2 double precision[];
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
  IF pg_catalog.array_position(p_features, NULL::double precision) IS NOT NULL OR 'Infinity'::double precision OPERATOR(pg_catalog.<=) ANY (p_features) OR '-Infinity'::double precision OPERATOR(pg_catalog.>=) ANY (p_features) THEN
    PERFORM "ml".check_features(p_features, 'Infinity'::double precision, FALSE);
  END IF;
  v_input_1 := p_features[1];
  v_input_1 := CASE WHEN pg_catalog.abs(v_input_1) OPERATOR(pg_catalog.<) '1e-100'::double precision THEN '0'::double precision ELSE v_input_1 END;
  v_input_2 := p_features[2];
  v_input_2 := CASE WHEN pg_catalog.abs(v_input_2) OPERATOR(pg_catalog.<) '1e-100'::double precision THEN '0'::double precision ELSE v_input_2 END;
  v_units := '{}'::double precision[];
  v_unit := 0;
  FOREACH v_weights SLICE 1 IN ARRAY '{{0.5,1,0},{-1,0.25,0},{2,0,0}}'::double precision[] LOOP
    v_unit := v_unit OPERATOR(pg_catalog.+) 1;
    v_activation := (v_input_1 OPERATOR(pg_catalog.*) v_weights[1]) OPERATOR(pg_catalog.+) (v_input_2 OPERATOR(pg_catalog.*) v_weights[2]) OPERATOR(pg_catalog.+) v_weights[3];
    v_units[v_unit] := CASE WHEN v_activation OPERATOR(pg_catalog.<) '1e-100'::double precision THEN '0'::double precision ELSE v_activation END;
  END LOOP;
  v_input_1 := v_units[1];
  v_input_2 := v_units[2];
  v_input_3 := v_units[3];
  v_units_2 := '{}'::double precision[];
  v_unit := 0;
  FOREACH v_weights SLICE 1 IN ARRAY '{{1,2,-0.5,0.125}}'::double precision[] LOOP
    v_unit := v_unit OPERATOR(pg_catalog.+) 1;
    v_activation := (v_input_1 OPERATOR(pg_catalog.*) v_weights[1]) OPERATOR(pg_catalog.+) (v_input_2 OPERATOR(pg_catalog.*) v_weights[2]) OPERATOR(pg_catalog.+) (v_input_3 OPERATOR(pg_catalog.*) v_weights[3]) OPERATOR(pg_catalog.+) v_weights[4];
    v_units_2[v_unit] := CASE WHEN pg_catalog.abs(v_activation) OPERATOR(pg_catalog.<) '1e-100'::double precision THEN '0'::double precision ELSE v_activation END;
  END LOOP;
  v_result_1 := "ml".expit(v_units_2[1]);
  RETURN ARRAY['1'::double precision OPERATOR(pg_catalog.-) v_result_1, v_result_1];
END
$function$;
