-- What a backfill has left, by its rows of the log since it started: those of one that ran beside it are in it.
-- Called by: trainer.backfill. Calls: nothing. Reads: public.ml_predictions, public.pattern_events, public.ml_log_drops.
-- Writes: nothing.

SELECT jsonb_build_object(
    'since', %(since)s::timestamptz,
    'logged', count(*),
    'with_features', count(*) FILTER (WHERE jsonb_typeof(e.ml_features) = 'object'),
    'with_support_distance_pct', count(*) FILTER (WHERE e.ml_features ->> 'support_distance_pct' IS NOT NULL),
    'without_blended_confidence', count(*) FILTER (
        WHERE e.rule_confidence BETWEEN 0 AND 1 AND e.blended_confidence IS NULL
    ),
    'used_for_training', count(*) FILTER (WHERE e.used_for_training),
    'lost_by_the_log', (SELECT count(*) FROM public.ml_log_drops AS d WHERE d.dropped_at >= %(since)s)
)
FROM public.ml_predictions AS p
INNER JOIN public.pattern_events AS e ON e.id = p.event_id
WHERE p.source = 'backfill' AND p.predicted_at >= %(since)s
