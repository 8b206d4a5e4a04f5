"""Statistics of experiments: challenger against champion, ML against rules.

Revision: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ADDED = (
    "monitoring/log1p",
    "monitoring/stirling_correction",
    "monitoring/poisson_deviance",
    "monitoring/regularized_gamma_upper",
    "monitoring/beta_kernel",
    "monitoring/regularized_beta",
    "monitoring/chi_square_survival",
    "monitoring/normal_cdf",
    "monitoring/normal_quantile",
    "monitoring/student_t_cdf",
    "monitoring/student_t_quantile",
    "monitoring/binomial_cdf",
    "monitoring/wilson_interval",
    "monitoring/two_proportion_test",
    "monitoring/mcnemar_test",
    "monitoring/paired_difference_test",
    "monitoring/delong_auc",
    "monitoring/delong_test",
    "monitoring/mann_whitney_test",
    "monitoring/sample_ratio_test",
    "monitoring/always_valid_test",
    "monitoring/setting_history",
    "monitoring/pair_predictions",
    "monitoring/ml_challenger_pairs",
    "monitoring/compare_versions",
    "monitoring/ml_challenger_comparison",
    "monitoring/compare_with_rules",
    "monitoring/ml_rules_comparison",
)


def upgrade() -> None:
    """Install what is new, then what calls it."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new: all of it is computed from the log, so nothing is lost."""
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
