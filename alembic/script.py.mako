"""${message}.

Revision: ${up_revision}
Revises: ${down_revision | comma,n}
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Apply the change."""
    ${upgrades if upgrades else "raise RuntimeError('write this upgrade')"}


def downgrade() -> None:
    """Undo the change."""
    ${downgrades if downgrades else "raise RuntimeError('write this downgrade')"}
