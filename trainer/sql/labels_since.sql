-- The labelled events after a time that a fit could use, with the confidence that a version gave them, NULL where it scored none.
-- Called by: trainer.retrain. Calls: ml.training_dataset. Reads: public.pattern_events. Writes: nothing.

SELECT
    d.detected_at,
    d.outcome_label = 'win' AS is_win,
    CASE WHEN e.model_version = %(version)s THEN e.ml_confidence END AS confidence
FROM ml.training_dataset(
    p_label_source => %(label)s::text,
    p_since => %(since)s::timestamptz,
    p_symbols => %(symbols)s::text[],
    p_timeframes => %(timeframes)s::text[]
) AS d
INNER JOIN public.pattern_events AS e ON e.id = d.id
WHERE d.detected_at > %(since)s::timestamptz AND d.features IS NOT NULL
ORDER BY d.detected_at
