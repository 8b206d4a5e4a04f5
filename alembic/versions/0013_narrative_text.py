"""Events from narrative text.

Revision: 0013
Revises: 0012
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ADDED = (
    "ops/narrative/narrative_tokens",
    "ops/narrative/narrative_words",
    "schema/narrative_phrases",
    "ops/narrative/parse_pattern",
    "ops/narrative/ingest_pattern",
)


def upgrade() -> None:
    """Install the phrases and the functions that read them."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop them; events that came from text stay, with the text."""
    require_drop_data("the phrases that users added to ml.narrative_phrases")
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
