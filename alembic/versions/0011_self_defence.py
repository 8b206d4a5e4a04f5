"""Challengers in shadow and canary, circuit breaker, fall back to the previous version.

Revision: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

VIEWS = ("scoring/scoring_models", "scoring/breaker_switch", "scoring/challenger_switch")
ADDED = (
    "scoring/use_model",
    "scoring/score_shadow",
    "scoring/check_breaker",
    "scoring/check_challenger",
    "ops/close_breaker",
    "ops/rollout/set_challenger",
    "ops/rollout/withdraw_challenger",
)
CHANGED = {
    "ops/enable": "0004",
    "ops/accept_threshold": "0004",
    "scoring/score_pattern_event": "0003",
    "scoring/log_predictions": "0006",
    "scoring/compute_contributions": "0006",
    "ops/audit_settings": "0004",
    "ops/score_batch": "0006",
    "ops/rescore_events": "0010",
    "ops/promote": "0010",
    "ops/rollback": "0010",
    "monitoring/ml_health": "0004",
}


def upgrade() -> None:
    """Add the settings and the columns of the log, then what reads them."""
    op.install_object("changes/self_defence", version=revision)
    for path in VIEWS:
        op.install_object(path, version=revision)
    replace_context(earlier="0003", later=revision)
    for path in (*ADDED, *CHANGED):
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
    replace_context(earlier=revision, later="0003")
    for path in reversed(VIEWS):
        op.drop_object(path, version=revision)
    op.install_object("changes/self_defence", version="0011_downgrade")


def replace_context(*, earlier: str, later: str) -> None:
    """Make the view anew, and with it the function whose argument has the view's type."""
    op.drop_object("scoring/finish_score", version="0003")
    op.drop_object("scoring/scoring_context", version=earlier)
    op.install_object("scoring/scoring_context", version=later)
    op.install_object("scoring/finish_score", version="0003")
