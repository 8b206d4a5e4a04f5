-- Tries calibrators walk-forward, simplest first, and returns the one that is better than what there is; else NULL.
-- Called by: ml.recalibrate.
-- Calls: ml.predict_walk_forward, ml.compare_calibration, ml.measure_calibration, ml.fit_calibrator.
-- Reads: nothing. Writes: nothing.
--
-- p_before holds the probabilities to beat, in row order, NULL where nothing is judged. A calibrator must have a lower
-- log loss by more than p_errors standard errors of the paired difference and no higher Brier score, and replaces a
-- simpler one only if its log loss is lower by more than one standard error again. One that does not rise would turn
-- the model's ranking around, or throw it away, and is never chosen. At least p_least wins and p_least others must
-- be judged. p_force: the lowest log loss, better or not.

CREATE OR REPLACE FUNCTION ml.choose_calibrator(
    p_rows ml.calibration_row[],
    p_before double precision[],
    p_starts timestamptz[],
    p_method text,
    p_errors double precision,
    p_least integer,
    p_force boolean,
    OUT fitted ml.fitted_calibrator,
    OUT after double precision[],
    OUT candidates jsonb
)
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
    c_least_to_fit CONSTANT integer := 50;
    v_raw double precision[];
    v_is_win boolean[];
    v_spans date[];
    v_method text;
    v_tried double precision[];
    v_gain record;
    v_over record;
    v_tried_fit ml.fitted_calibrator;
    v_passed boolean;
    v_highest double precision := '-infinity'::float8;
BEGIN
    SELECT array_agg(g.raw ORDER BY g.place), array_agg(g.is_win ORDER BY g.place), array_agg(g.span ORDER BY g.place)
    INTO v_raw, v_is_win, v_spans
    FROM unnest(p_rows) WITH ORDINALITY
        AS g (event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, place);
    after := p_before;
    candidates := '[]'::jsonb;
    FOREACH v_method IN ARRAY ARRAY['identity', 'sigmoid', 'isotonic'] LOOP
        CONTINUE WHEN v_method <> p_method;
        v_tried := ml.predict_walk_forward(v_method, p_rows, p_starts, c_least_to_fit);
        v_gain := ml.compare_calibration(p_before, v_tried, v_is_win, v_spans);
        v_over := ml.compare_calibration(after, v_tried, v_is_win, v_spans);
        v_tried_fit := ml.fit_calibrator(v_method, v_raw, v_is_win);
        v_passed := CASE v_method
            WHEN 'sigmoid' THEN v_tried_fit.a < 0
            WHEN 'isotonic' THEN v_tried_fit.knots_y[1] < v_tried_fit.knots_y[cardinality(v_tried_fit.knots_y)]
            ELSE true
        END AND least(v_gain.wins, v_gain.rows - v_gain.wins) >= p_least AND CASE
            WHEN p_force THEN v_gain.log_loss_gain > v_highest
            ELSE v_gain.log_loss_gain > p_errors * v_gain.standard_error
                AND v_gain.brier_gain >= 0
                AND v_over.log_loss_gain > v_over.standard_error
        END;
        candidates := candidates || jsonb_build_object(
            'method', v_method, 'rows', v_gain.rows, 'wins', v_gain.wins, 'log_loss', v_gain.log_loss,
            'log_loss_gain', v_gain.log_loss_gain, 'standard_error', v_gain.standard_error,
            'brier', v_gain.brier, 'brier_gain', v_gain.brier_gain,
            'ece', ml.measure_calibration(v_tried, v_is_win, v_spans, 0) #> '{ece,value}');
        IF v_passed THEN
            v_highest := v_gain.log_loss_gain;
            fitted := v_tried_fit;
            SELECT array_agg(coalesce(p.tried, p.before) ORDER BY p.place) INTO after
            FROM unnest(v_tried, p_before) WITH ORDINALITY AS p (tried, before, place);
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION ml.choose_calibrator IS
    'Tries calibrators walk-forward, simplest first, and returns the one that is better than what there is; else NULL.';
REVOKE ALL ON FUNCTION ml.choose_calibrator FROM PUBLIC;
