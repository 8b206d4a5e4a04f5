-- Predictions of one day by symbol and pattern type: all, those that used the score of ML, those that confirmed the event.
-- Called by: view v_ml_adoption. Calls: nothing. Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.summarize_adoption(p_day timestamptz)
RETURNS TABLE (symbol text, pattern_type text, predictions bigint, used bigint, confirmed bigint)
LANGUAGE sql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
ROWS 100
AS $function$
    SELECT
        e.symbol,
        e.pattern_type,
        count(*),
        count(*) FILTER (WHERE p.role <> 'rule' AND p.fallback_reason IS NULL),
        -- NaN sorts above every threshold.
        count(*) FILTER (WHERE p.blended_confidence >= s.confidence_threshold AND p.blended_confidence < 'infinity')
    FROM public.ml_predictions AS p
    JOIN public.pattern_events AS e ON e.id = p.event_id
    CROSS JOIN public.ml_settings AS s
    WHERE p.predicted_at >= p_day AND p.predicted_at < p_day + interval '24 hours'
        AND p.source IN ('insert', 'update') AND p.role <> 'shadow'
    GROUP BY e.symbol, e.pattern_type
$function$;
COMMENT ON FUNCTION ml.summarize_adoption IS
    'Predictions of one day by symbol and pattern type: all, those that used the score of ML, those that confirmed the event.';
REVOKE ALL ON FUNCTION ml.summarize_adoption FROM PUBLIC;
