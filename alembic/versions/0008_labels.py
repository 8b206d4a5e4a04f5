"""Label definitions side by side, analysts' labels and overrides.

Revision: 0008
Revises: 0007
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHANGED = {
    "ops/label_outcomes": "0004",
    "ops/training_dataset": "0004",
    "monitoring/ml_pattern_confidence": "0004",
}
ADDED = (
    "schema/acting_role",
    "schema/ml_label_definitions",
    "schema/ml_label_definitions_10_refuse_change",
    "schema/pattern_labels",
    "schema/pattern_labels_10_refuse_change",
    "schema/confidence_overrides",
    "schema/confidence_overrides_10_refuse_change",
    "schema/overridden_patterns",
    "ops/labels/events_to_label",
    "ops/labels/label_window",
    "ops/labels/set_label",
    "ops/labels/withdraw_label",
    "ops/labels/override_confidence",
    "ops/labels/withdraw_override",
)
TAKE_OVER_LABELS = """
INSERT INTO public.pattern_labels (
    event_id, definition, outcome_label, outcome_at, realized_pnl, max_drawdown, data_quality_score, reason, labelled_by
)
SELECT
    id, 'TB2', outcome_label, outcome_at, realized_pnl, max_drawdown, data_quality_score,
    'taken over from pattern_events', 'ml.label_outcomes'
FROM public.pattern_events
WHERE label_source = 'TB2' AND outcome_label IN ('win', 'loss', 'timeout') AND isfinite(outcome_at)
ORDER BY detected_at, id;
"""


def upgrade() -> None:
    """Install what is new, then what calls it, and give the labels that are there their rows."""
    for path in ("schema/preflight_labels", *ADDED, *CHANGED):
        op.install_object(path, version=revision)
    op.run_sql(TAKE_OVER_LABELS)


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new; label columns of pattern_events keep what they show."""
    require_drop_data("the history of labels, labels by definitions other than TB2, and confidence overrides")
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
