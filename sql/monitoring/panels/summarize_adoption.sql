-- Predictions of one day by symbol and pattern type: all, those that used the score of ML, those that confirmed the event.
-- Called by: view v_ml_adoption. Calls: nothing. Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

-- Of a day with more than 2,000 predictions one event in n is looked up, by a hash of its id, and counts n times: a panel
-- must not cost more because there is more to see.
CREATE OR REPLACE FUNCTION ml.summarize_adoption(p_day timestamptz)
RETURNS TABLE (symbol text, pattern_type text, predictions bigint, used bigint, confirmed bigint)
LANGUAGE sql
STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
ROWS 100
AS $function$
    WITH live AS MATERIALIZED (
        SELECT p.event_id, p.role, p.fallback_reason, p.blended_confidence
        FROM public.ml_predictions AS p
        WHERE p.predicted_at >= p_day AND p.predicted_at < p_day + interval '24 hours'
            AND p.source IN ('insert', 'update') AND p.role <> 'shadow'
    ),

    sampled AS (
        SELECT (count(*) + 1999) / 2000 AS step FROM live
    )

    SELECT
        e.symbol,
        e.pattern_type,
        count(*) * n.step,
        count(*) FILTER (WHERE l.role <> 'rule' AND l.fallback_reason IS NULL) * n.step,
        -- NaN sorts above every threshold.
        count(*) FILTER (WHERE l.blended_confidence >= s.confidence_threshold AND l.blended_confidence < 'infinity') * n.step
    FROM live AS l
    CROSS JOIN sampled AS n
    JOIN public.pattern_events AS e ON e.id = l.event_id
    CROSS JOIN public.ml_settings AS s
    WHERE uuid_hash_extended(l.event_id, 0) % n.step = 0
    GROUP BY e.symbol, e.pattern_type, n.step
$function$;
COMMENT ON FUNCTION ml.summarize_adoption IS
    'Predictions of one day by symbol and pattern type: all, those that used the score of ML, those that confirmed the event.';
REVOKE ALL ON FUNCTION ml.summarize_adoption FROM PUBLIC;
