-- How many events there are, and how many a threshold confirms: the one in use, and the one that a card recommends.
-- Called by: trainer.demo. Calls: nothing. Reads: public.pattern_events, public.ml_settings, public.ml_models.
-- Writes: nothing.

SELECT
    count(*) AS events,
    s.confidence_threshold AS threshold,
    count(*) FILTER (WHERE e.blended_confidence >= s.confidence_threshold) AS confirmed,
    r.threshold AS recommended_threshold,
    count(*) FILTER (WHERE e.blended_confidence >= r.threshold) AS confirmed_then
FROM public.ml_settings AS s
CROSS JOIN (
    SELECT (m.card ->> 'recommended_threshold')::double precision AS threshold
    FROM public.ml_models AS m
    WHERE m.version = %s
) AS r
-- NaN sorts above every threshold.
INNER JOIN public.pattern_events AS e ON e.blended_confidence < 'infinity' OR e.blended_confidence IS NULL
GROUP BY s.confidence_threshold, r.threshold
