"""Health, metrics and log in the promised form.

Revision: 0019
Revises: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ADDED = ("monitoring/live_metrics", "monitoring/ml_metrics", "monitoring/ml_log")


def upgrade() -> None:
    """Install what is new; ml_health gets another argument."""
    for path in ADDED:
        op.install_object(path, version=revision)
    op.run_sql("DROP FUNCTION public.ml_health(interval);\n")
    op.install_object("monitoring/ml_health", version=revision)


def downgrade() -> None:
    """Restore the earlier health, then drop what is new."""
    op.drop_object("monitoring/ml_health", version=revision)
    op.install_object("monitoring/ml_health", version="0011")
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
