"""Gates of a promotion as rows, hashes of compiled functions, scoring again after a withdrawal.

Revision: 0010
Revises: 0009
"""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Install what is new, then what calls it."""


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
