-- Bootstrap draws: how often each of some spans is drawn in each resample; the same in every session.
-- Called by: ml.measure_calibration, ml.tune_blend_weights. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.resampled_spans(p_spans integer, p_resamples integer)
RETURNS TABLE (resample integer, span integer, times bigint)
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    -- A hash as the generator: random() goes on from call to call, and every call must give the same figures.
    SELECT drawn.resample, drawn.span, count(*)
    FROM (
        SELECT
            resample.number AS resample,
            1 + floor(
                (hashtextextended(resample.number || ',' || draw.number, 0) & 281474976710655)
                / 281474976710656::float8 * p_spans
            )::integer AS span
        FROM generate_series(1, p_resamples) AS resample (number)
        CROSS JOIN generate_series(1, p_spans) AS draw (number)
    ) AS drawn
    GROUP BY drawn.resample, drawn.span
$function$;
COMMENT ON FUNCTION ml.resampled_spans IS
    'Bootstrap draws: how often each of some spans is drawn in each resample; the same in every session.';
REVOKE ALL ON FUNCTION ml.resampled_spans FROM PUBLIC;
