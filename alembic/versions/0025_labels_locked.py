"""Labelling leaves events in use alone; predictions from elsewhere are checked.

Revision: 0025
Revises: 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

CHANGED = {"scoring/log_ml_prediction": "0003", "ops/label_outcomes": "0008"}


def upgrade() -> None:
    """Replace the bodies."""
    for path in CHANGED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Restore the earlier bodies."""
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
