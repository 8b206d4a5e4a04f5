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

-- Exponential function in single precision: bit by bit the C library's expf, zero and infinity out of its range.
-- Called by: compiled models, sigmoid_single, softmax_single. Calls: nothing. Reads: nothing. Writes: nothing.
-- Argument and result are float32 values. The exponent is counted in units of 1/32 of a doubling: the whole part
-- selects a root and a power of two, and a cubic polynomial takes the remainder. The C library computes the remainder
-- by one instruction that multiplies and subtracts; here the factor has two parts, so that the first product is exact.
CREATE OR REPLACE FUNCTION "ml".exponential_single(p_x double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_whole double precision;
  v_rest double precision;
  v_step integer;
BEGIN
  IF p_x OPERATOR(pg_catalog.<) '-103.97207641601562'::double precision THEN
    RETURN '0'::double precision;
  ELSIF p_x OPERATOR(pg_catalog.>) '88.72283172607422'::double precision THEN
    RETURN 'Infinity'::double precision;
  END IF;
  v_whole := pg_catalog.round(p_x OPERATOR(pg_catalog.*) '46.16624130844683'::double precision);
  v_rest := ((p_x OPERATOR(pg_catalog.*) '46.16624069213867'::double precision) OPERATOR(pg_catalog.-) v_whole)
    OPERATOR(pg_catalog.+) (p_x OPERATOR(pg_catalog.*) '6.163081565091488e-07'::double precision);
  v_step := v_whole::integer;
  v_rest := (((((('1.6938359250920212e-06'::double precision OPERATOR(pg_catalog.*) v_rest)
    OPERATOR(pg_catalog.+) '0.00023459809789509004'::double precision) OPERATOR(pg_catalog.*) v_rest)
    OPERATOR(pg_catalog.+) '0.021660849396613134'::double precision) OPERATOR(pg_catalog.*) v_rest)
    OPERATOR(pg_catalog.+) '1'::double precision)
    OPERATOR(pg_catalog.*) (
      '{1,1.0218971486541166,1.0442737824274138,1.0671404006768237,'
      '1.0905077326652577,1.1143867425958924,1.1387886347566916,1.1637248587775775,'
      '1.189207115002721,1.215247359980469,1.241857812073484,1.2690509571917332,'
      '1.2968395546510096,1.3252366431597413,1.3542555469368927,1.383909881963832,'
      '1.4142135623730951,1.4451808069770467,1.4768261459394993,1.5091644275934228,'
      '1.5422108254079407,1.5759808451078865,1.6104903319492543,1.645755478153965,'
      '1.681792830507429,1.718619298122478,1.7562521603732995,1.7947090750031072,'
      '1.8340080864093424,1.8741676341103,1.9152065613971474,1.9571441241754002}'::double precision[]
    )[(v_step OPERATOR(pg_catalog.&) 31) OPERATOR(pg_catalog.+) 1];
  -- Exact: a power of two, and the result is far from the ends of double precision. The cast rounds, once.
  RETURN (
    v_rest OPERATOR(pg_catalog.*)
      pg_catalog.power('2'::double precision, (v_step OPERATOR(pg_catalog.>>) 5)::double precision)
  )::real::double precision;
END
$function$;

COMMENT ON FUNCTION "ml".exponential_single(double precision) IS
'Exponential function in single precision: bit by bit the C library''s expf, zero and infinity out of its range.';

-- Broken line through points, level beyond its ends.
-- At a point it gives the height, between two points slope * (x - point) + height with the numbers of the left one.
-- Called by: compiled models. Calls: product. Reads: nothing. Writes: nothing.
CREATE OR REPLACE FUNCTION "ml".interpolate(
  p_x double precision, p_points double precision[], p_heights double precision[], p_slopes double precision[]
) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_place integer := pg_catalog.width_bucket(p_x, p_points);
  v_distance double precision;
BEGIN
  IF v_place OPERATOR(pg_catalog.=) 0 THEN
    RETURN p_heights[1];
  END IF;
  v_distance := p_x OPERATOR(pg_catalog.-) p_points[v_place];
  IF v_distance OPERATOR(pg_catalog.=) '0'::double precision
    OR v_place OPERATOR(pg_catalog.=) pg_catalog.array_upper(p_points, 1)
  THEN
    RETURN p_heights[v_place];
  END IF;
  RETURN "ml".product(p_slopes[v_place], v_distance) OPERATOR(pg_catalog.+) p_heights[v_place];
END
$function$;

COMMENT ON FUNCTION
  "ml".interpolate(double precision, double precision[], double precision[], double precision[]) IS
'Broken line through points, level beyond its ends.';

-- Broken line through points in single precision, level beyond its ends.
-- It gives slope * (x - point) + height with the numbers of the last point below x.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- Arguments and result are float32 values. The product of two of them is exact in double precision; one that rounds to
-- zero in single precision would be an error in PostgreSQL.
CREATE OR REPLACE FUNCTION "ml".interpolate_single(
  p_x double precision, p_points double precision[], p_heights double precision[], p_slopes double precision[]
) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_last integer := pg_catalog.array_upper(p_points, 1);
  v_x double precision := LEAST(GREATEST(p_x, p_points[1]), p_points[v_last]);
  v_place integer := pg_catalog.width_bucket(v_x, p_points);
  v_product double precision;
BEGIN
  IF v_last OPERATOR(pg_catalog.=) 1 THEN
    RETURN p_heights[1];
  END IF;
  IF v_place OPERATOR(pg_catalog.>) 1 AND p_points[v_place] OPERATOR(pg_catalog.=) v_x THEN
    v_place := v_place OPERATOR(pg_catalog.-) 1;
  END IF;
  v_product := p_slopes[v_place]
    OPERATOR(pg_catalog.*) (v_x::real OPERATOR(pg_catalog.-) p_points[v_place]::real)::double precision;
  IF pg_catalog.abs(v_product) OPERATOR(pg_catalog.<=) '7.006492321624085e-46'::double precision THEN
    v_product := '0'::double precision;
  END IF;
  RETURN (v_product::real OPERATOR(pg_catalog.+) p_heights[v_place]::real)::double precision;
END
$function$;

COMMENT ON FUNCTION
  "ml".interpolate_single(double precision, double precision[], double precision[], double precision[]) IS
'Broken line through points in single precision, level beyond its ends.';

-- Mean of the rows of a two-dimensional array: added in order from zero, then divided by their number.
-- Called by: compiled models. Calls: nothing. Reads: nothing. Writes: nothing.
-- A quotient that rounds to zero is an error in PostgreSQL: n times 2^-1074 does so when divided by 2 n or more.
CREATE OR REPLACE FUNCTION "ml".mean_of_rows(p_rows double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_rows integer := pg_catalog.array_length(p_rows, 1);
  v_vanishing double precision := (v_rows OPERATOR(pg_catalog./) 2)::double precision
    OPERATOR(pg_catalog.*) '5e-324'::double precision;
  v_sum double precision;
  v_means double precision[] := '{}'::double precision[];
BEGIN
  FOR v_column IN 1..pg_catalog.array_length(p_rows, 2) LOOP
    v_sum := '0'::double precision;
    FOR v_row IN 1..v_rows LOOP
      v_sum := v_sum OPERATOR(pg_catalog.+) p_rows[v_row][v_column];
    END LOOP;
    v_means[v_column] := CASE
      WHEN pg_catalog.abs(v_sum) OPERATOR(pg_catalog.<=) v_vanishing THEN '0'::double precision
      ELSE v_sum OPERATOR(pg_catalog./) v_rows::double precision
    END;
  END LOOP;
  RETURN v_means;
END
$function$;

COMMENT ON FUNCTION "ml".mean_of_rows(double precision[]) IS
'Mean of the rows of a two-dimensional array: added in order from zero, then divided by their number.';

-- Values that are not negative, divided by their sum; all the same where the sum is zero.
-- Called by: compiled models. Calls: pairwise_sum. Reads: nothing. Writes: nothing.
-- A quotient that rounds to zero is an error in PostgreSQL; it does so when the dividend is at most 2^-1075 times the
-- divisor, which is tested with both sides scaled by 2^1000. Divided by a tiny sum, no value comes near to zero.
CREATE OR REPLACE FUNCTION "ml".normalized(p_values double precision[]) RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_sum double precision := "ml".pairwise_sum(p_values);
  v_size integer := pg_catalog.cardinality(p_values);
  v_shares double precision[] := p_values;
BEGIN
  FOR v_place IN 1..v_size LOOP
    v_shares[v_place] := CASE
      WHEN v_sum OPERATOR(pg_catalog.=) '0'::double precision
      THEN '1'::double precision OPERATOR(pg_catalog./) v_size::double precision
      WHEN v_sum OPERATOR(pg_catalog.<) '1e-200'::double precision
      THEN v_shares[v_place] OPERATOR(pg_catalog./) v_sum
      WHEN (v_shares[v_place] OPERATOR(pg_catalog.*) '1.0715086071862673e301'::double precision)
        OPERATOR(pg_catalog.<=) (v_sum OPERATOR(pg_catalog.*) '2.6469779601696886e-23'::double precision)
      THEN '0'::double precision
      ELSE v_shares[v_place] OPERATOR(pg_catalog./) v_sum
    END;
  END LOOP;
  RETURN v_shares;
END
$function$;

COMMENT ON FUNCTION "ml".normalized(double precision[]) IS
'Values that are not negative, divided by their sum; all the same where the sum is zero.';

-- Sum in the order of numpy: in order below eight values, pairwise from there on.
-- That is eight partial sums side by side, and more than 128 values in two halves.
-- Called by: normalized. Calls: itself. Reads: nothing. Writes: nothing.
CREATE OR REPLACE FUNCTION "ml".pairwise_sum(p_values double precision[]) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
  v_size integer := pg_catalog.cardinality(p_values);
  v_half integer;
  v_last integer := 0;
  v_partial double precision[];
  v_place integer;
  v_sum double precision := '0'::double precision;
BEGIN
  IF v_size OPERATOR(pg_catalog.>) 128 THEN
    v_half := v_size OPERATOR(pg_catalog./) 2;
    v_half := v_half OPERATOR(pg_catalog.-) (v_half OPERATOR(pg_catalog.%) 8);
    RETURN "ml".pairwise_sum(p_values[1:v_half])
      OPERATOR(pg_catalog.+) "ml".pairwise_sum(p_values[(v_half OPERATOR(pg_catalog.+) 1):v_size]);
  END IF;
  IF v_size OPERATOR(pg_catalog.>=) 8 THEN
    v_last := v_size OPERATOR(pg_catalog.-) (v_size OPERATOR(pg_catalog.%) 8);
    v_partial := p_values[1:8];
    FOR v_index IN 9..v_last LOOP
      v_place := ((v_index OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.%) 8) OPERATOR(pg_catalog.+) 1;
      v_partial[v_place] := v_partial[v_place] OPERATOR(pg_catalog.+) p_values[v_index];
    END LOOP;
    v_sum := (
      (v_partial[1] OPERATOR(pg_catalog.+) v_partial[2]) OPERATOR(pg_catalog.+)
      (v_partial[3] OPERATOR(pg_catalog.+) v_partial[4])
    ) OPERATOR(pg_catalog.+) (
      (v_partial[5] OPERATOR(pg_catalog.+) v_partial[6]) OPERATOR(pg_catalog.+)
      (v_partial[7] OPERATOR(pg_catalog.+) v_partial[8])
    );
  END IF;
  FOR v_index IN (v_last OPERATOR(pg_catalog.+) 1)..v_size LOOP
    v_sum := v_sum OPERATOR(pg_catalog.+) p_values[v_index];
  END LOOP;
  RETURN v_sum;
END
$function$;

COMMENT ON FUNCTION "ml".pairwise_sum(double precision[]) IS
'Sum in the order of numpy: in order below eight values, pairwise from there on.';

-- Product that is zero where PostgreSQL raises an error, because it is too small for double precision.
-- Called by: compiled models, interpolate. Calls: nothing. Reads: nothing. Writes: nothing.
-- It is when the exact product is at most 2^-1075, which is tested with both factors scaled by 2^537.
CREATE OR REPLACE FUNCTION "ml".product(p_left double precision, p_right double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN LEAST(pg_catalog.abs(p_left), pg_catalog.abs(p_right)) OPERATOR(pg_catalog.>) '1e-150'::double precision
    OR GREATEST(pg_catalog.abs(p_left), pg_catalog.abs(p_right)) OPERATOR(pg_catalog.>=) '1'::double precision
  THEN p_left OPERATOR(pg_catalog.*) p_right
  WHEN (pg_catalog.abs(p_left) OPERATOR(pg_catalog.*) '4.4989137945431964e+161'::double precision)
    OPERATOR(pg_catalog.*) (pg_catalog.abs(p_right) OPERATOR(pg_catalog.*) '4.4989137945431964e+161'::double precision)
    OPERATOR(pg_catalog.<=) '0.5'::double precision
  THEN '0'::double precision
  ELSE p_left OPERATOR(pg_catalog.*) p_right
END;

COMMENT ON FUNCTION "ml".product(double precision, double precision) IS
'Product that is zero where PostgreSQL raises an error, because it is too small for double precision.';

-- Logistic function 1 / (1 + exp(-x)) in single precision, the exponent cut at 88.7.
-- Called by: compiled models. Calls: exponential_single. Reads: nothing. Writes: nothing.
-- Argument and result are float32 values.
CREATE OR REPLACE FUNCTION "ml".sigmoid_single(p_x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('1'::real OPERATOR(pg_catalog./) (
  "ml".exponential_single(LEAST(OPERATOR(pg_catalog.-) p_x, '88.69999694824219'::double precision))::real
    OPERATOR(pg_catalog.+) '1'::real
))::double precision;

COMMENT ON FUNCTION "ml".sigmoid_single(double precision) IS
'Logistic function 1 / (1 + exp(-x)) in single precision, the exponent cut at 88.7.';

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

-- Softmax in single precision: only the sum of the exponentials is kept in double precision until it is complete.
-- Called by: compiled models. Calls: exponential_single. Reads: nothing. Writes: nothing.
-- Arguments and results are float32 values. A quotient of two of them, taken in double precision and then rounded, is
-- the float32 quotient; one that rounds to zero would be an error in PostgreSQL.
CREATE OR REPLACE FUNCTION "ml".softmax_single(p_scores double precision[]) RETURNS double precision[]
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
      WHEN v_score OPERATOR(pg_catalog.<) '-104'::double precision THEN '0'::double precision
      ELSE "ml".exponential_single(v_score::real::double precision)
    END;
    v_sum := v_sum OPERATOR(pg_catalog.+) v_score;
    v_position := v_position OPERATOR(pg_catalog.+) 1;
    v_shares[v_position] := v_score;
  END LOOP;
  v_sum := v_sum::real::double precision;
  FOR v_share IN 1..v_position LOOP
    v_score := v_shares[v_share] OPERATOR(pg_catalog./) v_sum;
    v_shares[v_share] := CASE
      WHEN v_score OPERATOR(pg_catalog.<=) '7.006492321624085e-46'::double precision THEN '0'::double precision
      ELSE v_score::real::double precision
    END;
  END LOOP;
  RETURN v_shares;
END
$function$;

COMMENT ON FUNCTION "ml".softmax_single(double precision[]) IS
'Softmax in single precision: only the sum of the exponentials is kept in double precision until it is complete.';
