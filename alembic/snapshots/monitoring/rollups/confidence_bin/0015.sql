-- Number of the bin of 0.05 that a confidence falls into, 1 to 20; NULL for what is no confidence: NULL, NaN, beyond 0 to 1.
-- Called by: ml.summarize_predictions. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.confidence_bin(p_confidence double precision)
RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
AS $function$
    -- NaN sorts above every number.
    SELECT CASE WHEN p_confidence >= 0 AND p_confidence <= 1 THEN 1 + pg_catalog.width_bucket(
        p_confidence,
        '{.05,.1,.15,.2,.25,.3,.35,.4,.45,.5,.55,.6,.65,.7,.75,.8,.85,.9,.95}'::double precision []
    ) END
$function$;
COMMENT ON FUNCTION ml.confidence_bin IS
    'Number of the bin of 0.05 that a confidence falls into, 1 to 20; NULL for what is no confidence: NULL, NaN, beyond 0 to 1.';
REVOKE ALL ON FUNCTION ml.confidence_bin FROM PUBLIC;
