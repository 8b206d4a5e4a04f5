-- What an analyst is shown of one event, and the labels that stand.
-- Called by: trainer.annotate. Calls: ml.label_window. Reads: public.pattern_events, public.pattern_labels.
-- Writes: nothing.

SELECT
    e.symbol,
    e.timeframe,
    e.pattern_type,
    coalesce(e.direction, w.direction) AS direction,
    e.detected_at,
    e.rule_confidence,
    e.ml_confidence,
    e.blended_confidence,
    w.bar_ts,
    w.entry_at,
    w.entry_price,
    w.target_price,
    w.stop_price,
    w.horizon,
    judged.outcome_label AS judged_outcome,
    judged.labelled_by AS judged_by,
    judged.reason AS judged_reason
FROM public.pattern_events AS e
CROSS JOIN LATERAL ml.label_window(e.id) AS w
LEFT JOIN public.pattern_labels AS judged
    ON judged.event_id = e.id AND judged.definition = 'analyst' AND judged.withdrawn_at IS NULL
WHERE e.id = %(id)s
