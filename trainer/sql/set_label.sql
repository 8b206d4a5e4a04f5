-- Record an analyst's label.
-- Called by: trainer.annotate. Calls: ml.set_label. Reads: nothing. Writes: nothing itself.

SELECT ml.set_label(
    p_event_id => %(id)s, p_outcome => %(outcome)s, p_reason => %(reason)s, p_labelled_by => %(analyst)s
)
