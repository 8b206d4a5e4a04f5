"""Explanations of scores, replay, set-based scoring of compiled models, more helpers for compiled models.

Revision: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHANGED = {
    "scoring/compiler_runtime": "0003",
    "scoring/log_predictions": "0003",
    "ops/score_batch": "0004",
}
ADDED = (
    "scoring/compute_contributions",
    "scoring/explain_features",
    "scoring/top_contributions",
    "ops/explain",
    "ops/explain_predictions",
    "ops/replay",
)


def upgrade() -> None:
    """Install what is new, then what calls it."""
    for path in (*ADDED, *CHANGED):
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
    op.drop_added_functions("scoring/compiler_runtime", version=revision, kept="0003")
