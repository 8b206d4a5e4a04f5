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
    v_unit double precision;
    v_mean double precision;
    v_deviation double precision;
    v_slope double precision := 0;
    v_offset double precision;
    v_step_slope double precision := 0;
    v_step_offset double precision := 0;
    v_share double precision := 1;
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

    SELECT count(*) FILTER (WHERE given.is_win), count(*) FILTER (WHERE NOT given.is_win), max(abs(given.x))
    INTO v_wins, v_rest, v_unit
    FROM unnest(p_x, p_is_win) AS given (x, is_win);
    v_unit := coalesce(nullif(v_unit, 0), 1);
    SELECT avg(given.x / v_unit), stddev_pop(given.x / v_unit) INTO v_mean, v_deviation FROM unnest(p_x) AS given (x);

    v_offset := ln((v_rest + 1) / (v_wins + 1));
    -- Equal values of x say nothing about a slope, and a deviation of one rounding error is none.
    IF v_deviation <= 1e-15 THEN
        a := 0;
        b := v_offset;
        RETURN;
    END IF;

    -- Newton's method on the standardised x; a step that does not lower the loss is halved.
    FOR v_round IN 1 .. 200 LOOP
        SELECT
            sum(greatest(at.margin, 0) + ln(1 + exp(-least(abs(at.margin), 700))) - at.target * at.margin) AS loss,
            sum(at.z * (at.target - at.probability)) AS gradient_slope,
            sum(at.target - at.probability) AS gradient_offset,
            sum(at.z * at.z * at.spread) AS slope_slope,
            sum(at.z * at.spread) AS slope_offset,
            sum(at.spread) AS offset_offset
        INTO v_at
        FROM (
            SELECT point.*, point.probability * (1 - point.probability) AS spread
            FROM (
                SELECT
                    margins.*,
                    CASE WHEN margins.is_win THEN (v_wins + 1) / (v_wins + 2) ELSE 1 / (v_rest + 2) END AS target,
                    1 / (1 + exp(-greatest(-700, least(700, margins.margin)))) AS probability
                FROM (
                    SELECT
                        scaled.z, scaled.is_win,
                        -((v_slope + v_share * v_step_slope) * scaled.z + v_offset + v_share * v_step_offset) AS margin
                    FROM (
                        SELECT (given.x / v_unit - v_mean) / v_deviation AS z, given.is_win
                        FROM unnest(p_x, p_is_win) AS given (x, is_win)
                    ) AS scaled
                ) AS margins
            ) AS point
        ) AS at;

        IF v_at.loss > v_loss + 1e-13 * abs(v_loss) THEN
            v_share := v_share / 2;
            EXIT WHEN v_share < 1e-6;
            CONTINUE;
        END IF;
        v_slope := v_slope + v_share * v_step_slope;
        v_offset := v_offset + v_share * v_step_offset;
        EXIT WHEN v_loss IS NOT NULL AND greatest(abs(v_step_slope), abs(v_step_offset)) < 1e-10;
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
