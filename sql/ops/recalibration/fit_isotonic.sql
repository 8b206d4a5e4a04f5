-- Isotonic regression by pooling adjacent violators; knots between which a prediction is linear, clipped outside.
-- Called by: ml.fit_calibrator. Calls: nothing. Reads: nothing. Writes: nothing.
--
-- Best and Chakravarti, Active set algorithms for isotonic regression, 1990. Equal to scikit-learn's
-- IsotonicRegression(y_min, y_max, out_of_bounds='clip'): values of x closer than 1e-15 to the first of them are one
-- point, with the mean of their y, and knots inside a flat stretch are left out.

CREATE OR REPLACE FUNCTION ml.fit_isotonic(
    p_x double precision[],
    p_y double precision[],
    p_y_min double precision DEFAULT NULL,
    p_y_max double precision DEFAULT NULL,
    OUT knots_x double precision[],
    OUT knots_y double precision[]
)
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_x double precision[];
    v_totals double precision[];
    v_weights double precision[];
    v_points integer;
    -- A stack of blocks, each with one fitted value.
    v_first double precision[] := '{}'::float8[];
    v_last double precision[] := '{}'::float8[];
    v_total double precision[] := '{}'::float8[];
    v_weight double precision[] := '{}'::float8[];
    v_top integer := 0;
BEGIN
    IF cardinality(p_x) IS DISTINCT FROM cardinality(p_y) OR coalesce(cardinality(p_x), 0) = 0 THEN
        RAISE EXCEPTION 'p_x and p_y must have the same number of values, at least one: they have % and %',
            coalesce(cardinality(p_x), 0), coalesce(cardinality(p_y), 0) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- NaN sorts above infinity.
    IF EXISTS (
        SELECT FROM unnest(p_x || p_y) AS given (value)
        WHERE given.value IS NULL OR given.value >= 'infinity' OR given.value = '-infinity'
    ) THEN
        RAISE EXCEPTION 'p_x and p_y must be finite numbers: leave out NULL, NaN and infinity'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT array_agg(point.x ORDER BY point.x), array_agg(point.total ORDER BY point.x), array_agg(point.weight ORDER BY point.x)
    INTO v_x, v_totals, v_weights
    FROM (
        SELECT given.x, sum(given.y) AS total, count(*)::float8 AS weight
        FROM unnest(p_x, p_y) AS given (x, y) GROUP BY given.x
    ) AS point;
    v_points := cardinality(v_x);

    FOR v_point IN 1 .. v_points + 1 LOOP
        IF v_top > 0 AND v_point <= v_points AND v_x[v_point] - v_last[v_top] < 1e-15 THEN
            v_total[v_top] := v_total[v_top] + v_totals[v_point];
            v_weight[v_top] := v_weight[v_top] + v_weights[v_point];
            CONTINUE;
        END IF;
        -- The newest point is complete: pool it with the blocks before it that are not below it.
        WHILE v_top > 1 AND v_total[v_top - 1] / v_weight[v_top - 1] >= v_total[v_top] / v_weight[v_top] LOOP
            v_total[v_top - 1] := v_total[v_top - 1] + v_total[v_top];
            v_weight[v_top - 1] := v_weight[v_top - 1] + v_weight[v_top];
            v_last[v_top - 1] := v_last[v_top];
            v_top := v_top - 1;
        END LOOP;
        IF v_point <= v_points THEN
            v_top := v_top + 1;
            v_first[v_top] := v_x[v_point];
            v_last[v_top] := v_x[v_point];
            v_total[v_top] := v_totals[v_point];
            v_weight[v_top] := v_weights[v_point];
        END IF;
    END LOOP;

    SELECT array_agg(kept.x ORDER BY kept.x), array_agg(kept.y ORDER BY kept.x) INTO knots_x, knots_y
    FROM (
        SELECT knot.x, knot.y, lag(knot.y) OVER along AS before, lead(knot.y) OVER along AS after
        FROM (
            SELECT
                ends.x,
                greatest(coalesce(p_y_min, '-infinity'), least(coalesce(p_y_max, 'infinity'), block.total / block.weight)) AS y
            FROM unnest(v_first[:v_top], v_last[:v_top], v_total[:v_top], v_weight[:v_top])
                AS block (first, last, total, weight)
            CROSS JOIN LATERAL (SELECT block.first UNION SELECT block.last) AS ends (x)
        ) AS knot
        WINDOW along AS (ORDER BY knot.x)
    ) AS kept
    WHERE kept.before IS DISTINCT FROM kept.y OR kept.after IS DISTINCT FROM kept.y;
END
$function$;
COMMENT ON FUNCTION ml.fit_isotonic IS
    'Isotonic regression by pooling adjacent violators; knots between which a prediction is linear, clipped outside.';
REVOKE ALL ON FUNCTION ml.fit_isotonic FROM PUBLIC;
