"""Switches, promotion, labels, backfill, partitions and health.

Revision: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OBJECTS = (
    "ops/audit_settings",
    "ops/ml_settings_90_audit",
    "ops/change_setting",
    "ops/enable",
    "ops/disable",
    "ops/set_rollout",
    "ops/accept_threshold",
    "ops/check_model",
    "ops/promote",
    "ops/live_versions",
    "ops/rollback",
    "ops/label_outcomes",
    "ops/training_dataset",
    "ops/score_batch",
    "ops/backfill",
    "ops/create_prediction_partitions",
    "monitoring/ml_health",
    "monitoring/ml_pattern_confidence",
)


def upgrade() -> None:
    """Install the objects in load order."""
    for path in OBJECTS:
        op.install_object(path, version=revision)
    op.run_sql("SELECT ml.create_prediction_partitions();\n")


def downgrade() -> None:
    """Drop them in the opposite order."""
    for path in reversed(OBJECTS):
        op.drop_object(path, version=revision)
