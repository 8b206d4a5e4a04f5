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
FIRST = ("ops/recalibration/prediction_outcomes", "ops/recalibration/probability_bin")
CHANGED = {"ops/recalibration/calibration_rows": "0009", "ops/recalibration/measure_calibration": "0009"}
ADDED = (
    "monitoring/performance/calibration_bins",
    "monitoring/performance/expected_calibration_error",
    "monitoring/performance/average_precision",
    "monitoring/performance/classification_metrics",
    "monitoring/performance/estimated_metrics",
    "monitoring/performance/sampling_deviations",
    "monitoring/performance/measure_performance",
    "monitoring/performance/estimate_performance",
    "monitoring/performance/reliability_table",
    "monitoring/performance/measure_baseline",
    "monitoring/performance/store_baseline_performance",
    "monitoring/performance/run_performance",
    "monitoring/performance/retraining_reasons",
    "monitoring/performance/ml_model_performance",
)


def upgrade() -> None:
    """Add the tables, then what fills and reads them."""
    for path in (*TABLES, *FIRST, *CHANGED, *ADDED):
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
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
    for path in reversed((*TABLES, *FIRST, *ADDED)):
        op.drop_object(path, version=revision)
