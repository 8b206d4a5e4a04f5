"""Roll-ups of predictions by minute and by hour, retention settings.

Revision: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ADDED = ("schema/ml_metrics_1m", "schema/ml_metrics_1h")


def upgrade() -> None:
    """Add the settings, then the roll-ups."""
    op.install_object("changes/monitoring_settings", version=revision)
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new: all of it is computed from the log."""
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
    op.install_object("changes/monitoring_settings", version="0015_downgrade")
