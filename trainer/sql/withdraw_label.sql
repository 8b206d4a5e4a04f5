-- Withdraw an analyst's label.
-- Called by: trainer.annotate. Calls: ml.withdraw_label. Reads: nothing. Writes: nothing itself.

SELECT ml.withdraw_label(p_event_id => %(id)s, p_reason => %(reason)s, p_withdrawn_by => %(analyst)s)
