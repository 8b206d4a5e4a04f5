"""Tick, nightly run and retention.

Revision: 0023
Revises: 0022
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

CHANGED = {"ops/create_prediction_partitions": "0022"}
ADDED = (
    "schema/ml_archive",
    "schema/ml_archives",
    "ops/jobs/archived_weeks",
    "ops/jobs/detach_week",
    "ops/jobs/drop_week",
    "ops/jobs/record_archive",
    "ops/apply_retention",
    "ops/jobs/refusal_to_run",
    "ops/jobs/run_step",
    "ops/jobs/run_job",
    "ops/tick",
    "ops/nightly",
    "ops/jobs/schedule_jobs",
    "ops/jobs/unschedule_jobs",
)


def upgrade() -> None:
    """Install the archive, then the jobs, and give the roles their rights on them."""
    for path in (*ADDED, *CHANGED):
        op.install_object(path, version=revision)
    op.install_object("ops/access/access", version="0022")


def downgrade() -> None:
    """Take the weeks that wait for export back into the log, then drop what is new."""
    require_drop_data("the record of exported weeks")
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
    op.install_object("changes/archived_weeks", version="0023_downgrade")
    for path in reversed(ADDED):
        if path != "schema/ml_archive":
            op.drop_object(path, version=revision)
    op.run_sql("DROP SCHEMA ml_archive;\n")
