-- The labelled events of a training run, ordered by time.
-- Called by: trainer.dataset. Calls: ml.training_dataset. Reads: nothing. Writes: nothing.

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
