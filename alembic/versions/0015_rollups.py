"""Roll-ups of predictions by minute and by hour, retention settings.

Revision: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ADDED = (
    "schema/ml_metrics_1m",
    "schema/ml_metrics_1h",
    "schema/ml_jobs",
    "schema/job_locks",
    "monitoring/rollups/latency_bucket",
    "monitoring/rollups/confidence_bin",
    "monitoring/rollups/count_bins",
    "monitoring/rollups/add_histograms",
    "monitoring/rollups/merge_histograms",
    "monitoring/rollups/add_counts",
    "monitoring/rollups/merge_counts",
    "monitoring/rollups/histogram_quantile",
    "monitoring/rollups/summarize_predictions",
    "monitoring/rollups/metrics_by_minute",
    "monitoring/rollups/merge_minutes",
    "monitoring/rollups/metrics_by_hour",
    "monitoring/rollups/recompute_metrics",
    "ops/jobs/lock_job",
    "monitoring/rollups/runs_before",
    "monitoring/rollups/roll_up",
)


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
