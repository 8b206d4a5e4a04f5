"""Tables, the adopted or created pattern_events, and the history of its status.

Revision: 0001
Revises: None
"""

from alembic import op
from frozen_objects import require_drop_data, snapshot

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OBJECTS = (
    "schema/preflight",
    "schema/ml",
    "schema/ml_generated",
    "schema/owned_objects",
    "schema/price_bars",
    "schema/ml_timeframes",
    "schema/pattern_types",
    "schema/pattern_events",
    "schema/pattern_lifecycle_history",
    "schema/record_status_changes",
    "schema/pattern_events_95_lifecycle",
    "schema/ml_features",
    "schema/ml_models",
    "schema/ml_calibrators",
    "schema/ml_aliases",
    "schema/ml_deployments",
    "schema/ml_settings",
    "schema/refuse_change",
    "schema/ml_models_10_refuse_change",
    "schema/ml_calibrators_10_refuse_change",
    "schema/ml_deployments_10_refuse_change",
    "schema/ml_predictions",
    "schema/ml_log_drops",
    "schema/confirmed_patterns",
)

# ml holds alembic_version, so it stays; the pre-flight creates nothing.
KEPT = ("schema/ml", "schema/preflight")


def upgrade() -> None:
    """Install the objects in load order."""
    for path in OBJECTS:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop them in the opposite order."""
    require_drop_data("all bars, models, settings and predictions, and what was added to pattern_events")
    for path in reversed(OBJECTS):
        if path == "schema/pattern_events":
            op.run_sql(snapshot("schema/release_pattern_events", revision))
        elif path == "schema/ml_generated":
            op.run_sql("DROP SCHEMA ml_generated;\n")
        elif path not in KEPT:
            op.drop_object(path, version=revision)
