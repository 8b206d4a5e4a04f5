"""Events from narrative text.

Revision: 0013
Revises: 0012
"""

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Install what is new, then what calls it."""


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
