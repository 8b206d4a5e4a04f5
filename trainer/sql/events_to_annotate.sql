-- Events for an analyst to judge, newest first: those whose outcome is known, as far as the filters ask for them.
-- Called by: trainer.annotate. Calls: ml.label_window. Reads: public.pattern_events, public.pattern_labels.
-- Writes: nothing.

SELECT e.id
FROM (
    SELECT v.id, v.detected_at, v.outcome_label
    FROM public.pattern_events AS v
    WHERE (%(ids)s::uuid[] IS NULL OR v.id = ANY(%(ids)s::uuid[]))
        AND (%(symbols)s::text[] IS NULL OR v.symbol = ANY(%(symbols)s::text[]))
        AND (%(timeframes)s::text[] IS NULL OR v.timeframe = ANY(%(timeframes)s::text[]))
        AND (%(patterns)s::text[] IS NULL OR lower(v.pattern_type) = ANY(%(patterns)s::text[]))
        AND (%(since)s::timestamptz IS NULL OR v.detected_at >= %(since)s::timestamptz)
        AND (%(until)s::timestamptz IS NULL OR v.detected_at < %(until)s::timestamptz)
    ORDER BY v.detected_at DESC, v.id
) AS e
LEFT JOIN public.pattern_labels AS judged
    ON judged.event_id = e.id AND judged.definition = 'analyst' AND judged.withdrawn_at IS NULL
LEFT JOIN public.pattern_labels AS automatic
    ON automatic.event_id = e.id AND automatic.definition = 'TB2' AND automatic.withdrawn_at IS NULL
-- OFFSET 0: only for events that everything else lets through.
LEFT JOIN LATERAL (SELECT w.window_ends_at FROM ml.label_window(e.id) AS w OFFSET 0) AS ahead ON automatic.id IS NULL
WHERE (%(judged_too)s OR judged.id IS NULL)
    AND (NOT %(unlabelled)s OR (e.outcome_label IS NULL AND judged.id IS NULL AND automatic.id IS NULL))
    AND (automatic.id IS NOT NULL OR ahead.window_ends_at IS NOT NULL)
ORDER BY e.detected_at DESC, e.id
LIMIT %(limit)s
