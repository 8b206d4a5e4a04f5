"""Stages of a canary and of the rollout of ML itself, with gates.

Revision: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ADDED = ("ops/rollout/check_stage", "ops/rollout/advance")


def upgrade() -> None:
    """Install what checks a stage, then what moves on."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new."""
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
