"""Roles of writers, analysts, operators and dashboards.

Revision: 0022
Revises: 0021
"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

CHANGED = {"ops/create_prediction_partitions": "0004"}
ADDED = (
    "ops/access/governed_objects",
    "ops/access/held_rights",
    "ops/access/role_rights",
    "ops/grant_access",
)


def upgrade() -> None:
    """Install what knows the rights, then give them."""
    for path in (*CHANGED, *ADDED, "ops/access/access"):
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Take the rights back, drop roles that nobody uses, then what is new."""
    op.install_object("changes/access", version="0022_downgrade")
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
