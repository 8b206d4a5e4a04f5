"""Baselines, drift of features and scores.

Revision: 0016
Revises: 0015
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ADDED = (
    "schema/ml_baselines",
    "schema/ml_baseline_features",
    "schema/ml_drift",
    "schema/ml_baselines_10_refuse_change",
    "schema/ml_baseline_features_10_refuse_change",
    "monitoring/drift/jensen_shannon_distance",
    "monitoring/drift/hellinger_distance",
    "monitoring/drift/population_stability_index",
    "monitoring/drift/goodness_of_fit_test",
    "monitoring/drift/homogeneity_test",
    "monitoring/drift/wasserstein_distance",
    "monitoring/drift/smirnov_survival",
    "monitoring/drift/kolmogorov_smirnov_test",
    "monitoring/drift/equal_width_edges",
    "monitoring/drift/doane_edges",
    "monitoring/drift/bin_together",
    "monitoring/drift/measure_drift",
    "monitoring/drift/drift_limits",
    "monitoring/drift/describe_values",
    "monitoring/drift/feature_drift",
    "monitoring/drift/feature_drift_score",
    "monitoring/drift/run_drift",
    "monitoring/drift/ml_feature_drift",
    "monitoring/ml_set_baseline",
)


def upgrade() -> None:
    """Install what is new."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new."""
    require_drop_data("the baselines of drift and what was measured against them")
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
