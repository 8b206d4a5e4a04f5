"""Alert rules as rows, their states and history, notifications to be delivered.

Revision: 0018
Revises: 0017
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ADDED = (
    "schema/ml_alert_rules",
    "schema/ml_alerts",
    "schema/ml_alert_transitions",
    "schema/ml_alert_transitions_10_refuse_change",
    "schema/ml_notifications",
    "monitoring/alerts/audit_alert_rules",
    "monitoring/alerts/ml_alert_rules_90_audit",
    "monitoring/alerts/minute_alert_values",
    "monitoring/alerts/measure_state",
    "monitoring/alerts/alert_values",
    "monitoring/alerts/next_alert_state",
    "monitoring/alerts/compute_alert_states",
    "monitoring/alerts/describe_alert",
    "monitoring/alerts/evaluate_alerts",
    "monitoring/alerts/silence_alert",
    "monitoring/ml_alerts",
)


def upgrade() -> None:
    """Install the tables, then what reads them."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new."""
    require_drop_data("the rules of alerts, their history and the notifications")
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
