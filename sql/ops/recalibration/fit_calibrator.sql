-- Fits a calibrator of one method: identity, sigmoid or isotonic.
-- Called by: ml.predict_walk_forward, ml.recalibrate. Calls: ml.fit_sigmoid, ml.fit_isotonic.
-- Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.fit_calibrator(p_method text, p_raw double precision[], p_is_win boolean[])
RETURNS ml.fitted_calibrator
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_fitted ml.fitted_calibrator;
    v_outcomes double precision[];
    v_bound double precision;
BEGIN
    v_fitted.method := p_method;
    IF p_method = 'sigmoid' THEN
        SELECT fit.a, fit.b INTO v_fitted.a, v_fitted.b FROM ml.fit_sigmoid(p_raw, p_is_win) AS fit;
    ELSIF p_method = 'isotonic' THEN
        SELECT array_agg(given.is_win::integer::float8 ORDER BY given.place) INTO v_outcomes
        FROM unnest(p_is_win) WITH ORDINALITY AS given (is_win, place);
        -- Laplace's bound: no number of events shows that a win is impossible, or certain.
        v_bound := 1 / (cardinality(p_raw) + 2)::float8;
        SELECT fit.knots_x, fit.knots_y INTO v_fitted.knots_x, v_fitted.knots_y
        FROM ml.fit_isotonic(p_raw, v_outcomes, v_bound, 1 - v_bound) AS fit;
    ELSIF p_method IS DISTINCT FROM 'identity' THEN
        RAISE EXCEPTION 'unknown calibration method %: use identity, sigmoid or isotonic', coalesce(p_method, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN v_fitted;
END
$function$;
COMMENT ON FUNCTION ml.fit_calibrator IS 'Fits a calibrator of one method: identity, sigmoid or isotonic.';
REVOKE ALL ON FUNCTION ml.fit_calibrator FROM PUBLIC;
