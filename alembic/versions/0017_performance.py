"""Performance with labels and without.

Revision: 0017
Revises: 0016
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = (
    "schema/ml_baseline_performance",
    "schema/ml_baseline_performance_10_refuse_change",
    "schema/ml_performance",
)


def upgrade() -> None:
    """Add the tables, then what fills and reads them."""
    for path in TABLES:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new; what was measured goes with it."""
    if (
        op.get_context().as_sql
        or op.get_bind()
        .exec_driver_sql(
            "SELECT EXISTS (SELECT FROM public.ml_performance) OR EXISTS (SELECT FROM public.ml_baseline_performance)"
        )
        .scalar()
    ):
        require_drop_data("what was measured of the performance of models")
    for path in reversed(TABLES):
        op.drop_object(path, version=revision)
