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
    "monitoring/statistics/log1p",
    "monitoring/statistics/stirling_correction",
    "monitoring/statistics/poisson_deviance",
    "monitoring/statistics/regularized_gamma_upper",
    "monitoring/statistics/beta_kernel",
    "monitoring/statistics/regularized_beta",
    "monitoring/statistics/chi_square_survival",
    "monitoring/statistics/normal_cdf",
    "monitoring/statistics/normal_quantile",
    "monitoring/statistics/student_t_cdf",
    "monitoring/statistics/student_t_quantile",
    "monitoring/statistics/binomial_cdf",
    "monitoring/statistics/wilson_interval",
    "monitoring/statistics/two_proportion_test",
    "monitoring/statistics/mcnemar_test",
    "monitoring/statistics/paired_difference_test",
    "monitoring/statistics/delong_auc",
    "monitoring/statistics/delong_test",
    "monitoring/statistics/mann_whitney_test",
    "monitoring/statistics/sample_ratio_test",
    "monitoring/statistics/always_valid_test",
    "monitoring/experiments/setting_history",
    "monitoring/experiments/pair_predictions",
    "monitoring/experiments/ml_challenger_pairs",
    "monitoring/experiments/compare_versions",
    "monitoring/experiments/ml_challenger_comparison",
    "monitoring/experiments/compare_with_rules",
    "monitoring/experiments/ml_rules_comparison",
)


def upgrade() -> None:
    """Install what is new, then what calls it."""
    for path in ADDED:
        op.install_object(path, version=revision)


def downgrade() -> None:
    """Drop what is new: all of it is computed from the log, so nothing is lost."""
    for path in reversed(ADDED):
        op.drop_object(path, version=revision)
