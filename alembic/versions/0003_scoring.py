"""The row trigger that scores and the statement trigger that logs.

Revision: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OBJECTS = (
    "scoring/compiler_runtime",
    "scoring/rollout_bucket",
    "scoring/blend_confidence",
    "scoring/calibrate",
    "scoring/scoring_context",
    "scoring/event_score",
    "scoring/finish_score",
    "scoring/score_features",
    "scoring/derived_columns",
    "scoring/trusted_transactions",
    "scoring/brings_own_score",
    "scoring/score_pattern_event",
    "scoring/pattern_events_10_score",
    "scoring/log_predictions",
    "scoring/pattern_events_90_log_insert",
    "scoring/pattern_events_90_log_update",
    "scoring/log_ml_prediction",
)


def upgrade() -> None:
    """Install the objects in load order."""
    for path in OBJECTS:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop them in the opposite order."""
    for path in reversed(OBJECTS):
        op.drop_object(path, version=revision)
