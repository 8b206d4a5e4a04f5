-- Predictions of one day while ML was on, by symbol and pattern type: all, with the score of ML used, confirmed.
-- Called by: view v_ml_adoption. Calls: nothing. Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

-- One event in p_step is looked up, by a hash of its id, and counts p_step times: a panel must not cost more because there
-- is more to see. Predictions that came while ML was disabled say nothing about its adoption.
CREATE OR REPLACE FUNCTION ml.summarize_adoption(p_day timestamptz, p_step bigint)
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
        count(*) * p_step,
        count(*) FILTER (WHERE l.role <> 'rule' AND l.fallback_reason IS NULL) * p_step,
        -- NaN sorts above every threshold.
        count(*) FILTER (WHERE l.blended_confidence >= s.confidence_threshold AND l.blended_confidence < 'infinity') * p_step
    FROM public.ml_predictions AS l
    JOIN public.pattern_events AS e ON e.id = l.event_id
    CROSS JOIN public.ml_settings AS s
    WHERE l.predicted_at >= p_day AND l.predicted_at < p_day + interval '24 hours'
        AND l.source IN ('insert', 'update') AND l.role <> 'shadow' AND l.fallback_reason IS DISTINCT FROM 'disabled'
        AND uuid_hash_extended(l.event_id, 0) % p_step = 0
    GROUP BY e.symbol, e.pattern_type
$function$;
COMMENT ON FUNCTION ml.summarize_adoption IS
    'Predictions of one day while ML was on, by symbol and pattern type: all, with the score of ML used, confirmed.';
REVOKE ALL ON FUNCTION ml.summarize_adoption FROM PUBLIC;
