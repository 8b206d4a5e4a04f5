"""Released model v0002: its compiled functions and its registry rows.

Revision: 0007
Revises: 0006
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Install and register the model; it goes live only where no choice has been made yet."""
    op.install_model(
        "v0002",
        score="c992636d41ca17eb41bdfaceb5df1d011276c78fbacf64592d82339daa658097",
        register="964463cf65271cc67f78977b77dd53408f4637b41d9a2c134757d782364fb92a",
    )


def downgrade() -> None:
    """Remove the model; events and logged predictions keep the scores that it gave."""
    require_drop_data("model v0002 and its calibrators")
    op.remove_model("v0002", remove="c13259c0b6b6c72f99a5ebe115868df5ca755a1011a0c4b9c1d112e2404c8782")
