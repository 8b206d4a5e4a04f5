"""The audit counts by the hour what is rolled up; no confidence is too small to blend.

Revision: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

AUDIT = "monitoring/ml_deployment_audit"
BLEND = "scoring/blend_confidence"


def upgrade() -> None:
    """Replace the function; make the view anew, and give the roles their rights on it."""
    op.install_object(BLEND, version=revision)
    replace_audit(earlier="0010", later=revision)


def downgrade() -> None:
    """Restore the earlier bodies."""
    replace_audit(earlier=revision, later="0010")
    op.install_object(BLEND, version="0003")


def replace_audit(*, earlier: str, later: str) -> None:
    """Replace the view by another body; rights go with the old one."""
    op.drop_object(AUDIT, version=earlier)
    op.install_object(AUDIT, version=later)
    op.install_object("ops/access/access", version="0022")
