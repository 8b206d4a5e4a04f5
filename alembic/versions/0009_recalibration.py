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
    "ops/recalibration/square",
    "ops/recalibration/log_loss",
    "ops/recalibration/clustered_mean",
    "ops/recalibration/fitted_calibrator",
    "ops/recalibration/fit_isotonic",
    "ops/recalibration/fit_sigmoid",
    "ops/recalibration/fit_calibrator",
    "ops/recalibration/calibration_row",
    "ops/recalibration/calibration_rows",
    "ops/recalibration/calibrated_by",
    "ops/recalibration/walk_forward_starts",
    "ops/recalibration/predict_walk_forward",
    "ops/recalibration/compare_calibration",
    "ops/recalibration/resampled_spans",
    "ops/recalibration/measure_calibration",
    "ops/recalibration/area_under_roc",
    "ops/recalibration/choose_calibrator",
    "ops/recalibration/recalibrate",
    "ops/recalibration/tune_blend_weights",
    "ops/recalibration/set_weights",
)


def upgrade() -> None:
    """Give calibrators their parts, then install what fits them."""
    op.install_object("changes/calibrator_parts", version=revision)
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
    op.install_object("changes/calibrator_parts", version="0009_downgrade")
