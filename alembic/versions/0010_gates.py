"""Gates of a promotion as rows, hashes of compiled functions, scoring again after a withdrawal.

Revision: 0010
Revises: 0009
"""

from alembic import op
from frozen_objects import require_drop_data

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = (
    "schema/switch_lock",
    "schema/ml_gates",
    "schema/ml_gate_results",
    "schema/model_functions",
    "schema/model_features",
    "schema/ml_gate_results_10_refuse_change",
    "schema/model_functions_10_refuse_change",
    "schema/model_features_10_refuse_change",
    "ops/gates/audit_gates",
    "ops/gates/ml_gates_90_audit",
)
ADDED = (
    "ops/gates/newest_calibrator",
    "ops/gates/function_hashes",
    "ops/gates/feature_hashes",
    "ops/gates/record_functions",
    "ops/gates/read_figure",
    "ops/gates/stated_calibration_error",
    "ops/gates/check_artefact",
    "ops/gates/check_quality",
    "ops/check_model",
    "ops/gates/store_gate_results",
    "ops/gates/check_promotion",
    "ops/lock_switches",
    "ops/rescore_events",
    "ops/rescore",
    "monitoring/ml_deployment_audit",
)
CHANGED = {
    "schema/record_status_changes": "0001",
    "ops/promote": "0004",
    "ops/live_versions": "0004",
    "ops/rollback": "0004",
}


def upgrade() -> None:
    """Install what is new, then what calls it, and record the models that are there already."""
    op.drop_object("ops/check_model", version="0004")  # its columns change
    for path in (*TABLES, *ADDED, *CHANGED):
        op.install_object(path, version=revision)
    op.run_sql("SELECT ml.record_functions(model.version) FROM public.ml_models AS model ORDER BY model.version;\n")


def downgrade() -> None:
    """Restore the earlier bodies, then drop what is new."""
    require_drop_data("the thresholds and the recorded results of gates, and the hashes of compiled functions")
    for path, version in CHANGED.items():
        op.install_object(path, version=version)
    for path in reversed((*TABLES, *ADDED)):
        op.drop_object(path, version=revision)
    op.install_object("ops/check_model", version="0004")
