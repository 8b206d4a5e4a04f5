-- A label is never changed, except that one that stands is withdrawn.
-- Called by: UPDATE of pattern_labels. Calls: ml.refuse_change. Reads: nothing. Writes: nothing.

CREATE OR REPLACE TRIGGER pattern_labels_10_refuse_change
BEFORE UPDATE ON public.pattern_labels
FOR EACH ROW
WHEN (
    OLD.withdrawn_at IS NOT NULL OR NEW.withdrawn_at IS NULL
    OR (
        OLD.id, OLD.event_id, OLD.definition, OLD.outcome_label, OLD.outcome_at, OLD.realized_pnl, OLD.max_drawdown,
        OLD.data_quality_score, OLD.bars_to_outcome, OLD.reason, OLD.labelled_by, OLD.recorded_by, OLD.labelled_at
    ) IS DISTINCT FROM (
        NEW.id, NEW.event_id, NEW.definition, NEW.outcome_label, NEW.outcome_at, NEW.realized_pnl, NEW.max_drawdown,
        NEW.data_quality_score, NEW.bars_to_outcome, NEW.reason, NEW.labelled_by, NEW.recorded_by, NEW.labelled_at
    )
)
EXECUTE FUNCTION ml.refuse_change();
COMMENT ON TRIGGER pattern_labels_10_refuse_change ON public.pattern_labels IS
    'A label is never changed, except that one that stands is withdrawn.';
