"""The bar indicator store and the one definition of every feature.

Revision: 0002
Revises: 0001
"""

from alembic import op
from frozen_objects import require_drop_data, snapshot

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OBJECTS = (
    "features/event_inputs",
    "features/feature_vector",
    "features/event_feature_result",
    "features/feature_array",
    "features/bar_series",
    "features/bar_states",
    "features/bar_indicators",
    "features/recompute_bar_indicators",
    "features/maintain_bar_indicators",
    "features/refresh_bar_indicators",
    "features/price_bars_90_indicators_insert",
    "features/price_bars_90_indicators_update",
    "features/price_bars_90_indicators_delete",
    "features/price_bars_90_indicators_truncate",
    "features/compute_event_features",
    "features/feature_catalogue",
)


def upgrade() -> None:
    """Install the objects in load order."""
    for path in OBJECTS:
        op.install_object(path, version=revision)
    op.run_sql("SELECT ml.refresh_bar_indicators();\n")


def downgrade() -> None:
    """Drop them in the opposite order."""
    require_drop_data("all installed models")
    op.run_sql(snapshot("features/remove_models", revision))
    for path in reversed(OBJECTS):
        op.drop_object(path, version=revision)
