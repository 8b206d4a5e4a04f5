"""Errors of backfills, row by row.

Revision: 0021
Revises: 0020
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ADDED = ("schema/ml_backfill_errors", "ops/score_events")
CHANGED = {"ops/score_batch": "0011", "ops/rescore_events": "0011", "ops/backfill": "0004", "ops/rescore": "0010"}


def upgrade() -> None:
    """Install what is new, then what uses it."""
    for path in (*ADDED, *CHANGED):
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
    require_drop_data("the record of events that backfills could not score")
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
