"""Released model v0001: its compiled functions and its registry rows.

Revision: 0005
Revises: 0004
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Install and register the model; it goes live only where no choice has been made yet."""
    op.install_model(
        "v0001",
        score="fce7d7a43d808cb50d2544d3789c25520c272b2fc5090f79f4c785fd0da4dd06",
        register="699a067f40c6aa05f79e3d1d40af0f096032078fecb7e455364a8c1f728d4a3c",
    )


def downgrade() -> None:
    """Remove the model; events and logged predictions keep the scores that it gave."""
    require_drop_data("model v0001 and its calibrators")
    op.remove_model("v0001", remove="e254cda2be9e2d7cd901d5a7d312f19abe4d3642e942bfa79a90bdb527587e6d")
