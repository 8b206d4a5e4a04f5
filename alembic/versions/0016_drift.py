"""Baselines, drift of features and scores.

Revision: 0016
Revises: 0015
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ADDED = (
    "schema/ml_baselines",
    "schema/ml_baseline_features",
    "schema/ml_drift",
    "schema/ml_baselines_10_refuse_change",
    "schema/ml_baseline_features_10_refuse_change",
)


def upgrade() -> None:
    """Install what is new."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new."""
    require_drop_data("the baselines of drift and what was measured against them")
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
