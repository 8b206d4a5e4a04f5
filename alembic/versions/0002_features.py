"""The bar indicator store and the one definition of every feature.

Revision: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OBJECTS = (
    "features/event_inputs",
)


def upgrade() -> None:
    """Install the objects in load order."""
    for path in OBJECTS:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop them in the opposite order."""
    for path in reversed(OBJECTS):
        op.drop_object(path, version=revision)
