"""Calibrators fitted in the database, per symbol and timeframe; blend weights tuned on labels.

Revision: 0009
Revises: 0008
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ADDED = (
    "ops/square",
    "ops/log_loss",
    "ops/clustered_mean",
    "ops/fitted_calibrator",
    "ops/fit_isotonic",
    "ops/fit_sigmoid",
    "ops/fit_calibrator",
    "ops/calibration_row",
    "ops/calibration_rows",
    "ops/calibrated_by",
    "ops/walk_forward_starts",
    "ops/predict_walk_forward",
    "ops/compare_calibration",
    "ops/resampled_spans",
    "ops/measure_calibration",
    "ops/area_under_roc",
    "ops/choose_calibrator",
    "ops/recalibrate",
    "ops/tune_blend_weights",
    "ops/set_weights",
)


def upgrade() -> None:
    """Give calibrators their parts, then install what fits them."""
    op.install_object("schema/ml_calibrators_add_parts", version=revision)
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new; the calibrators of single timeframes and symbols go with it."""
    if (
        op.get_context().as_sql
        or op.get_bind()
        .exec_driver_sql("SELECT EXISTS (SELECT FROM public.ml_calibrators WHERE parent_version IS NOT NULL)")
        .scalar()
    ):
        require_drop_data("the calibrators of single timeframes and symbols")
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
    op.install_object("schema/ml_calibrators_remove_parts", version=revision)
