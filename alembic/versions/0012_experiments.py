"""Statistics of experiments: challenger against champion, ML against rules.

Revision: 0012
Revises: 0011
"""

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Install what is new, then what calls it."""


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
