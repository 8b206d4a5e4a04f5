-- The labelled events of a training run, ordered by time.
-- Called by: trainer.dataset. Calls: ml.training_dataset, ml.label_window. Reads: nothing. Writes: nothing.
--
-- known_at is when the outcome was known whatever it was: the end of the label window, which an early touch of a barrier
-- does not move. A window whose bars are not all there counts as long as the longest of its timeframe. It is outcome_at
-- where that is later (an analyst's), or where the label has no window.

SELECT
    d.id,
    d.symbol,
    d.timeframe,
    d.pattern_type,
    d.direction,
    d.detected_at,
    d.rule_confidence,
    d.outcome_label,
    d.outcome_at,
    CASE
        WHEN d.outcome_at IS NOT NULL
            THEN greatest(
                d.outcome_at,
                coalesce(
                    w.window_ends_at,
                    -- In seconds: days of an interval are the session's, and need not have 24 hours.
                    d.detected_at + make_interval(secs => max(
                        extract(epoch FROM w.window_ends_at - d.detected_at)::float8
                    ) OVER (PARTITION BY d.timeframe, w.horizon IS NULL))
                )
            )
    END AS known_at,
    d.realized_pnl,
    d.data_quality_score,
    d.features
FROM ml.training_dataset(
    p_label_source => %(label)s::text,
    p_since => %(since)s::timestamptz,
    p_until => %(until)s::timestamptz,
    p_symbols => %(symbols)s::text[],
    p_timeframes => %(timeframes)s::text[]
) AS d
LEFT JOIN LATERAL ml.label_window(d.id, %(label)s::text) AS w ON true
ORDER BY d.detected_at, d.symbol, d.timeframe, d.id
