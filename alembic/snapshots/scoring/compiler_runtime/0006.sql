-- The helpers that compiled models call: exactly what trainer.compiler.runtime_sql('ml') returns.
-- Called by: ml_generated.score_<version>. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE SCHEMA IF NOT EXISTS "ml";

-- Raises an error that names the first value which the compiled model's library would refuse as well.
-- Called by: compiled models, when a cheaper test has found something suspicious. Calls: nothing. Reads: nothing.
-- Writes: nothing.
CREATE OR REPLACE FUNCTION "ml".check_features(
  p_values double precision[],
  p_limit double precision,
  p_allow_missing boolean
) RETURNS pg_catalog.void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_value double precision;
  v_position integer := 0;
BEGIN
  FOREACH v_value IN ARRAY p_values LOOP
    v_position := v_position OPERATOR(pg_catalog.+) 1;
    IF v_value IS NULL OR v_value OPERATOR(pg_catalog.=) 'NaN'::double precision THEN
      IF NOT p_allow_missing THEN
        RAISE EXCEPTION 'feature % is missing, and this model takes no missing values', v_position
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
    ELSIF pg_catalog.abs(v_value) OPERATOR(pg_catalog.>=) p_limit THEN
      RAISE EXCEPTION 'feature % is %, and this model takes absolute values below % only', v_position, v_value, p_limit
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END LOOP;
END
$function$;

COMMENT ON FUNCTION "ml".check_features(double precision[], double precision, boolean) IS
'Raises an error that names the first value which the compiled model''s library would refuse as well.';

-- Raises an error that names the first feature outside the range in which the compiled model's library accepts it.
-- Called by: compiled models, when a cheaper test has found something suspicious. Calls: nothing. Reads: nothing.
-- Writes: nothing.
CREATE OR REPLACE FUNCTION "ml".check_ranges(
  p_values double precision[],
  p_lowest double precision[],
  p_highest double precision[],
  p_missing_allowed boolean[]
) RETURNS pg_catalog.void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_value double precision;
  v_position integer := 0;
BEGIN
  FOREACH v_value IN ARRAY p_values LOOP
    v_position := v_position OPERATOR(pg_catalog.+) 1;
    IF v_value IS NULL OR v_value OPERATOR(pg_catalog.=) 'NaN'::double precision THEN
      IF NOT p_missing_allowed[v_position] THEN
        RAISE EXCEPTION 'feature % is missing, and this model takes no missing values there', v_position
          USING ERRCODE = 'invalid_parameter_value';
      END IF;
    ELSIF v_value OPERATOR(pg_catalog.<) p_lowest[v_position]
      OR v_value OPERATOR(pg_catalog.>) p_highest[v_position]
    THEN
      RAISE EXCEPTION 'feature % is %, and this model takes values from % to % there',
        v_position, v_value, p_lowest[v_position], p_highest[v_position]
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END LOOP;
END
$function$;

COMMENT ON FUNCTION "ml".check_ranges(double precision[], double precision[], double precision[], boolean[]) IS
'Raises an error that names the first feature outside the range in which the compiled model''s library accepts it.';

-- Logistic function 1 / (1 + exp(-x)) without the range errors of exp().
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- The body is parsed here and now, so the caller's search_path has no say, and it is inlined where it is called.
CREATE OR REPLACE FUNCTION "ml".expit(p_x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN p_x OPERATOR(pg_catalog.<) '-709.782712893384'::double precision THEN '0'::double precision
  WHEN p_x OPERATOR(pg_catalog.>) '745'::double precision THEN '1'::double precision
  ELSE '1'::double precision OPERATOR(pg_catalog./)
    ('1'::double precision OPERATOR(pg_catalog.+) pg_catalog.exp(OPERATOR(pg_catalog.-) p_x))
END;

COMMENT ON FUNCTION "ml".expit(double precision) IS
'Logistic function 1 / (1 + exp(-x)) without the range errors of exp().';

-- Exponential function that gives zero or infinity where exp() raises a range error.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
CREATE OR REPLACE FUNCTION "ml".exponential(p_x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN p_x OPERATOR(pg_catalog.<) '-745.1332191019411'::double precision THEN '0'::double precision
  WHEN p_x OPERATOR(pg_catalog.>) '709.782712893384'::double precision THEN 'Infinity'::double precision
  ELSE pg_catalog.exp(p_x)
END;

COMMENT ON FUNCTION "ml".exponential(double precision) IS
'Exponential function that gives zero or infinity where exp() raises a range error.';

-- Softmax of an array of scores: exponentials of the distance to the largest score, divided by their sum.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- The sum runs from the first score to the last. A quotient that rounds to zero is an error in PostgreSQL; it does so
-- when the dividend is at most 2^-1075 times the divisor, which is tested with both sides scaled by 2^1000.
CREATE OR REPLACE FUNCTION "ml".softmax(p_scores double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_largest double precision := '-Infinity'::double precision;
  v_sum double precision := '0'::double precision;
  v_score double precision;
  v_position integer := 0;
  v_shares double precision[] := '{}'::double precision[];
BEGIN
  FOREACH v_score IN ARRAY p_scores LOOP
    v_largest := GREATEST(v_largest, v_score);
  END LOOP;
  FOREACH v_score IN ARRAY p_scores LOOP
    v_score := v_score OPERATOR(pg_catalog.-) v_largest;
    v_score := CASE
      WHEN v_score OPERATOR(pg_catalog.<) '-745.1332191019411'::double precision THEN '0'::double precision
      ELSE pg_catalog.exp(v_score)
    END;
    v_sum := v_sum OPERATOR(pg_catalog.+) v_score;
    v_position := v_position OPERATOR(pg_catalog.+) 1;
    v_shares[v_position] := v_score;
  END LOOP;
  FOR v_share IN 1..v_position LOOP
    v_score := v_shares[v_share];
    v_shares[v_share] := CASE
      WHEN (v_score OPERATOR(pg_catalog.*) '1.0715086071862673e301'::double precision)
        OPERATOR(pg_catalog.<=) (v_sum OPERATOR(pg_catalog.*) '2.6469779601696886e-23'::double precision)
      THEN '0'::double precision
      ELSE v_score OPERATOR(pg_catalog./) v_sum
    END;
  END LOOP;
  RETURN v_shares;
END
$function$;

COMMENT ON FUNCTION "ml".softmax(double precision[]) IS
'Softmax of an array of scores: exponentials of the distance to the largest score, divided by their sum.';
