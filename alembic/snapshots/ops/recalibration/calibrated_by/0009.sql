-- What a registered calibrator makes of raw probabilities, by its most specific part for each row; in row order.
-- Called by: ml.recalibrate, ml.tune_blend_weights. Calls: ml.calibrate. Reads: ml_calibrators. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.calibrated_by(p_calibrator_version text, p_rows ml.calibration_row[])
RETURNS double precision[]
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH rule AS (
        -- One row per segment: the calibrators are looked up once, not for every prediction.
        SELECT segment.symbol, segment.timeframe, c.method, c.a, c.b, c.knots_x, c.knots_y
        FROM (SELECT DISTINCT given.symbol, given.timeframe FROM unnest(p_rows) AS given) AS segment
        LEFT JOIN LATERAL (
            SELECT calibrator.*
            FROM public.ml_calibrators AS calibrator
            WHERE calibrator.calibrator_version = p_calibrator_version
                OR (
                    calibrator.parent_version = p_calibrator_version
                    AND calibrator.timeframe = segment.timeframe
                    AND (calibrator.symbol IS NULL OR calibrator.symbol = segment.symbol)
                )
            ORDER BY calibrator.symbol NULLS LAST, calibrator.timeframe NULLS LAST
            LIMIT 1
        ) AS c ON true
    )

    SELECT array_agg(
        ml.calibrate(given.raw, rule.method, rule.a, rule.b, rule.knots_x, rule.knots_y) ORDER BY given.place)
    FROM unnest(p_rows) WITH ORDINALITY
        AS given (event_id, symbol, timeframe, detected_at, known_at, span, raw, rule_confidence, is_win, left_out, place)
    INNER JOIN rule ON rule.symbol = given.symbol AND rule.timeframe = given.timeframe
$function$;
COMMENT ON FUNCTION ml.calibrated_by IS
    'What a registered calibrator makes of raw probabilities, by its most specific part for each row; in row order.';
REVOKE ALL ON FUNCTION ml.calibrated_by FROM PUBLIC;
