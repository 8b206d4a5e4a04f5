-- Calibrated probabilities of each block by a calibrator fitted on what was known when the block began; in row order.
-- Called by: ml.recalibrate. Calls: ml.fit_calibrator, ml.calibrate. Reads: nothing. Writes: nothing.

-- NULL before the first block, and in blocks before which fewer than p_least wins or other outcomes were known.
CREATE OR REPLACE FUNCTION ml.predict_walk_forward(
    p_method text,
    p_rows ml.calibration_row[],
    p_starts timestamptz[],
    p_least integer
)
RETURNS double precision[]
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
    v_raw double precision[];
    v_is_win boolean[];
    v_wins integer;
    v_fitted ml.fitted_calibrator;
    v_part double precision[];
    v_predictions double precision[];
BEGIN
    v_predictions := array_fill(NULL::float8, ARRAY[(
        SELECT count(*)::integer FROM unnest(p_rows) AS given WHERE (given.detected_at < p_starts[1]) IS NOT FALSE)]);
    FOR v_block IN 1 .. coalesce(cardinality(p_starts), 0) LOOP
        SELECT array_agg(given.raw), array_agg(given.is_win), count(*) FILTER (WHERE given.is_win)::integer
        INTO v_raw, v_is_win, v_wins
        FROM unnest(p_rows) AS given
        WHERE given.known_at <= p_starts[v_block];
        v_fitted := NULL;
        IF least(v_wins, coalesce(cardinality(v_is_win), 0) - v_wins) >= p_least THEN
            v_fitted := ml.fit_calibrator(p_method, v_raw, v_is_win);
        END IF;
        -- Rows are in the order of detection, so that the blocks follow one another.
        SELECT array_agg(
            CASE WHEN v_fitted.method IS NOT NULL THEN
                ml.calibrate(given.raw, v_fitted.method, v_fitted.a, v_fitted.b, v_fitted.knots_x, v_fitted.knots_y)
            END ORDER BY given.place)
        INTO v_part
        FROM unnest(p_rows) WITH ORDINALITY
            AS given (event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, place)
        WHERE given.detected_at >= p_starts[v_block]
            AND (v_block = cardinality(p_starts) OR given.detected_at < p_starts[v_block + 1]);
        v_predictions := v_predictions || v_part;
    END LOOP;
    RETURN v_predictions;
END
$function$;
COMMENT ON FUNCTION ml.predict_walk_forward IS
    'Calibrated probabilities of each block by a calibrator fitted on what was known when the block began; in row order.';
REVOKE ALL ON FUNCTION ml.predict_walk_forward FROM PUBLIC;
