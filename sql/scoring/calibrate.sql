-- Calibrated probability of a raw one: identity, sigmoid (Platt) or isotonic (linear between knots, clipped outside).
-- Called by: ml.finish_score. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.calibrate(
    p_raw double precision,
    p_method text,
    p_a double precision,
    p_b double precision,
    p_knots_x double precision[],
    p_knots_y double precision[]
)
RETURNS double precision
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
AS $function$
DECLARE
    v_exponent double precision;
    v_right integer;
BEGIN
    IF p_method IS NULL OR p_method = 'identity' THEN
        RETURN p_raw;
    ELSIF p_method = 'sigmoid' THEN
        v_exponent := p_a * p_raw + p_b;
        -- exp() raises an error beyond these bounds, where the result is 0 or 1 to the last bit.
        RETURN CASE
            WHEN v_exponent > 709 THEN 0
            WHEN v_exponent < -709 THEN 1
            ELSE 1 / (1 + pg_catalog.exp(v_exponent))
        END;
    END IF;

    -- Same arithmetic as numpy.interp, which scikit-learn's isotonic calibration evaluates.
    v_right := pg_catalog.width_bucket(p_raw, p_knots_x);
    RETURN CASE
        WHEN p_raw IS NULL THEN NULL
        WHEN v_right = 0 THEN p_knots_y[1]
        WHEN v_right = pg_catalog.cardinality(p_knots_x) THEN p_knots_y[v_right]
        ELSE (p_knots_y[v_right + 1] - p_knots_y[v_right]) / (p_knots_x[v_right + 1] - p_knots_x[v_right])
            * (p_raw - p_knots_x[v_right]) + p_knots_y[v_right]
    END;
END
$function$;
COMMENT ON FUNCTION ml.calibrate IS
    'Calibrated probability of a raw one: identity, sigmoid (Platt) or isotonic (linear between knots, clipped outside).';
