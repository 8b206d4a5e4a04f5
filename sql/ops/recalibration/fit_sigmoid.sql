-- Platt's sigmoid 1 / (1 + exp(a * x + b)) of least log loss against his smoothed targets, by Newton's method.
-- Called by: ml.fit_calibrator. Calls: nothing. Reads: nothing. Writes: nothing.
--
-- Platt, Probabilistic Outputs for Support Vector Machines, 1999, with the remarks of Lin, Lin and Weng, 2007. The
-- same loss as scikit-learn's CalibratedClassifierCV(method='sigmoid'), whose optimiser stops a little earlier.

CREATE OR REPLACE FUNCTION ml.fit_sigmoid(
    p_x double precision[],
    p_is_win boolean[],
    OUT a double precision,
    OUT b double precision
)
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_wins double precision;
    v_rest double precision;
    v_target_win double precision;
    v_target_rest double precision;
    v_mean_target double precision;
    v_unit double precision;
    v_mean double precision;
    v_deviation double precision;
    v_slope double precision := 0;
    v_offset double precision;
    v_step_slope double precision := 0;
    v_step_offset double precision := 0;
    v_share double precision := 1;
    v_try_slope double precision;
    v_try_offset double precision;
    v_z double precision[];
    v_loss double precision;
    v_at record;
    v_determinant double precision;
BEGIN
    IF cardinality(p_x) IS DISTINCT FROM cardinality(p_is_win) OR coalesce(cardinality(p_x), 0) = 0 THEN
        RAISE EXCEPTION 'p_x and p_is_win must have the same number of values, at least one: they have % and %',
            coalesce(cardinality(p_x), 0), coalesce(cardinality(p_is_win), 0) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- NaN sorts above infinity.
    IF EXISTS (
        SELECT FROM unnest(p_x, p_is_win) AS given (x, is_win)
        WHERE given.x IS NULL OR given.is_win IS NULL OR given.x >= 'infinity' OR given.x = '-infinity'
    ) THEN
        RAISE EXCEPTION 'p_x must be finite numbers and p_is_win true or false: leave out NULL, NaN and infinity'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT
        count(*) FILTER (WHERE given.is_win)::float8, count(*) FILTER (WHERE NOT given.is_win)::float8, max(abs(given.x))
    INTO v_wins, v_rest, v_unit
    FROM unnest(p_x, p_is_win) AS given (x, is_win);
    v_unit := coalesce(nullif(v_unit, 0), 1);
    SELECT avg(given.x / v_unit), stddev_pop(given.x / v_unit) INTO v_mean, v_deviation FROM unnest(p_x) AS given (x);

    -- Where the slope is 0, the best probability is the mean of the targets.
    v_target_win := (v_wins + 1) / (v_wins + 2);
    v_target_rest := 1 / (v_rest + 2);
    v_mean_target := (v_wins * v_target_win + v_rest * v_target_rest) / (v_wins + v_rest);
    v_offset := ln((1 - v_mean_target) / v_mean_target);
    -- Equal values of x say nothing about a slope, and for nearly equal ones a * x + b would lose its digits.
    IF v_deviation <= 1e-9 THEN
        a := 0;
        b := v_offset;
        RETURN;
    END IF;

    SELECT array_agg(CASE WHEN abs(scaled.z) > 1e-80 THEN scaled.z ELSE 0 END ORDER BY scaled.place) INTO v_z
    FROM (
        SELECT (given.x / v_unit - v_mean) / v_deviation AS z, given.place
        FROM unnest(p_x) WITH ORDINALITY AS given (x, place)
    ) AS scaled;

    -- Newton's method on the standardised x; a step that does not lower the loss is halved.
    FOR v_round IN 1 .. 200 LOOP
        v_try_slope := v_slope + v_share * v_step_slope;
        v_try_offset := v_offset + v_share * v_step_offset;
        -- OFFSET 0: what a level gives is computed once, not once for each of its uses.
        SELECT
            sum(greatest(at.margin, 0) + ln(1 + exp(-least(abs(at.margin), 300))) - at.target * at.margin) AS loss,
            sum(at.z * (at.target - at.probability)) AS gradient_slope,
            sum(at.target - at.probability) AS gradient_offset,
            sum(at.z * at.z * at.spread) AS slope_slope,
            sum(at.z * at.spread) AS slope_offset,
            sum(at.spread) AS offset_offset
        INTO v_at
        FROM (
            SELECT point.*, point.probability * (1 - point.probability) AS spread
            FROM (
                SELECT margins.*, 1 / (1 + exp(-greatest(-300, least(300, margins.margin)))) AS probability
                FROM (
                    SELECT
                        scaled.z,
                        CASE WHEN scaled.is_win THEN v_target_win ELSE v_target_rest END AS target,
                        -(v_try_slope * scaled.z + v_try_offset) AS margin
                    FROM unnest(v_z, p_is_win) AS scaled (z, is_win)
                    OFFSET 0
                ) AS margins
                OFFSET 0
            ) AS point
            OFFSET 0
        ) AS at;

        IF v_at.loss > v_loss + 1e-13 * abs(v_loss) THEN
            v_share := v_share / 2;
            EXIT WHEN v_share < 1e-6;
            CONTINUE;
        END IF;
        v_slope := v_try_slope;
        v_offset := v_try_offset;
        EXIT WHEN v_loss IS NOT NULL
            AND greatest(abs(v_step_slope), abs(v_step_offset)) < 1e-10 * (1 + abs(v_slope) + abs(v_offset));
        v_loss := v_at.loss;
        v_determinant := v_at.slope_slope * v_at.offset_offset - v_at.slope_offset * v_at.slope_offset;
        EXIT WHEN v_determinant <= 0;
        v_step_slope := -(v_at.offset_offset * v_at.gradient_slope - v_at.slope_offset * v_at.gradient_offset) / v_determinant;
        v_step_offset := -(v_at.slope_slope * v_at.gradient_offset - v_at.slope_offset * v_at.gradient_slope) / v_determinant;
        v_share := 1;
    END LOOP;
    a := v_slope / v_deviation / v_unit;
    b := v_offset - v_slope * v_mean / v_deviation;
END
$function$;
COMMENT ON FUNCTION ml.fit_sigmoid IS
    'Platt''s sigmoid 1 / (1 + exp(a * x + b)) of least log loss against his smoothed targets, by Newton''s method.';
REVOKE ALL ON FUNCTION ml.fit_sigmoid FROM PUBLIC;
