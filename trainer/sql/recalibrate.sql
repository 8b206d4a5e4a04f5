-- Fits calibrators to the outcomes of logged predictions.
-- Called by: trainer.recalibrate. Calls: ml.recalibrate. Reads: nothing. Writes: nothing.

SELECT ml.recalibrate(
    p_version => %s,
    p_since => %s,
    p_until => %s,
    p_method => %s,
    p_reason => %s,
    p_include_backfill => %s,
    p_force => %s
)
