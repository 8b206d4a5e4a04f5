"""A view for each panel of the dashboard.

Revision: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ADDED = (
    "monitoring/panels/panel_bounds",
    "monitoring/panels/panel_minutes",
    "monitoring/panels/panel_hours",
    "monitoring/panels/summarize_outcomes",
    "monitoring/panels/summarize_adoption",
    "monitoring/panels/panel_outcomes",
    "monitoring/panels/v_ml_latency_1m",
    "monitoring/panels/v_ml_throughput_1m",
    "monitoring/panels/v_ml_cache_1m",
    "monitoring/panels/v_ml_active",
    "monitoring/panels/v_ml_confidence_hist",
    "monitoring/panels/v_ml_fallback_reasons",
    "monitoring/panels/v_ml_versions",
    "monitoring/panels/v_ml_feature_success",
    "monitoring/panels/v_ml_accuracy",
    "monitoring/panels/v_ml_fp_fn",
    "monitoring/panels/v_ml_adoption",
    "monitoring/panels/v_ml_calls",
    "monitoring/panels/v_ml_memory",
    "monitoring/panels/v_ml_cpu",
    "monitoring/panels/v_ml_io",
    "monitoring/panels/v_ml_network",
    "monitoring/panels/v_ml_drift_heatmap",
    "monitoring/panels/v_ml_realised_estimated",
    "monitoring/panels/v_ml_reliability",
    "monitoring/panels/v_ml_canary",
    "monitoring/panels/v_ml_alert_timeline",
)


def upgrade() -> None:
    """Install the views and what they read."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop them."""
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
