"""The audit of deployments counts by the hour what is rolled up.

Revision: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

AUDIT = "monitoring/ml_deployment_audit"


def upgrade() -> None:
    """Make the view anew, and give the roles their rights on it."""
    replace_audit(earlier="0010", later=revision)


def downgrade() -> None:
    """Restore the earlier view."""
    replace_audit(earlier=revision, later="0010")


def replace_audit(*, earlier: str, later: str) -> None:
    """Replace the view by another body; rights go with the old one."""
    op.drop_object(AUDIT, version=earlier)
    op.install_object(AUDIT, version=later)
    op.install_object("ops/access/access", version="0022")
