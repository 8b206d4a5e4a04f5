"""Model -> SQL text: assemble, check the size, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainer.compiler import nodes
from trainer.compiler.assemblers import assemble, final_estimator, first_fitted
from trainer.compiler.code_generator import function_statements, json_text, quote_function_name
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.interpreter import PARAMETER, PlpgsqlInterpreter
from trainer.compiler.limits import MAXIMUM_SPLITS, MAXIMUM_SQL_BYTES, MAXIMUM_STEPS, check_limit
from trainer.compiler.report import CompileReport


@dataclass(frozen=True)
class CompiledModel:
    """The SQL text of a model and what is to be said about it."""

    sql: str
    report: CompileReport


def export_to_postgres(
    model: Any,
    function_name: str = "ml_generated.score",
    feature_names: Sequence[str] | None = None,
    *,
    runtime_schema: str = "ml",
    revoke_from_public: bool = False,
) -> str:
    """Return SQL that creates a PL/pgSQL function equal to ``predict_proba`` (of a regressor: ``predict``).

    The text holds CREATE OR REPLACE FUNCTION and COMMENT ON FUNCTION, and REVOKE ALL ... FROM PUBLIC when
    ``revoke_from_public`` is set; no transaction control. ``function_name`` is ``name`` or ``schema.name``,
    and the schema must exist. The function calls helpers that `runtime_sql` installs in ``runtime_schema``.

    The function takes ``float8[]``, one value per feature in the order of fitting; NULL and NaN are missing
    values, values beyond the last feature are ignored, a NULL array gives NULL. It returns ``float8[]``: one
    probability per class in the order of ``classes_``, or one value for a regressor. It raises SQLSTATE 22023
    for an array that is too short or not one-dimensional and for a value that the library refuses (infinity,
    a magnitude beyond float32, a missing value), and 22003 where arithmetic on finite values overflows.

    ``feature_names`` (default: those the model was fitted with, else ``x0``, ``x1``, ...) appear in the
    comment only. Raises `UnsupportedModelError` for whatever cannot be reproduced exactly.
    """
    return compile_model(
        model,
        function_name,
        feature_names,
        runtime_schema=runtime_schema,
        revoke_from_public=revoke_from_public,
    ).sql


def compile_model(
    model: Any,
    function_name: str = "ml_generated.score",
    feature_names: Sequence[str] | None = None,
    *,
    runtime_schema: str = "ml",
    revoke_from_public: bool = False,
) -> CompiledModel:
    """Return the text of `export_to_postgres` together with its `CompileReport`."""
    name = quote_function_name(function_name)
    expr = assemble(model)
    trees = [tree for node in nodes.walk(expr) if isinstance(node, nodes.TreeExpr) for tree in node.trees]
    splits = sum(tree.splits for tree in trees)
    steps = sum(tree.depth for tree in trees)
    check_limit("splits", splits, MAXIMUM_SPLITS)
    check_limit("splits on its longest paths", steps, MAXIMUM_STEPS)

    estimator = final_estimator(model)
    names = _feature_names(model, feature_names)
    classes = tuple(getattr(estimator, "classes_", ()))
    interpreter = PlpgsqlInterpreter(runtime_schema)
    body = interpreter.interpret(expr)
    result = f"probabilities of the classes {_labels(classes)}" if classes else "the predicted value"
    comment = f"{type(estimator).__name__}: {result}; {PARAMETER} holds {json_text(names)}."
    sql = function_statements(name, PARAMETER, body, comment, revoke_from_public)
    size = len(sql.encode())
    check_limit("bytes of SQL", size, MAXIMUM_SQL_BYTES)
    report = CompileReport(
        algorithm=type(estimator).__name__,
        features=tuple(names),
        classes=tuple(label.item() if hasattr(label, "item") else label for label in classes),
        sql_bytes=size,
        trees=len(trees),
        splits=splits,
        leaves=sum(len(tree.leaves) for tree in trees),
        max_depth=max((tree.depth for tree in trees), default=0),
        steps=steps,
        runtime_helpers=tuple(sorted(interpreter.helpers)),
    )
    return CompiledModel(sql, report)


def _labels(classes: Sequence[Any]) -> str:
    return json_text([label.item() if hasattr(label, "item") else label for label in classes])


def _feature_names(model: Any, feature_names: Sequence[str] | None) -> list[str]:
    first = first_fitted(model)
    size = int(first.n_features_in_)
    fitted = getattr(first, "feature_names_in_", None)
    if feature_names is None:
        return [str(name) for name in fitted] if fitted is not None else [f"x{number}" for number in range(size)]
    names = list(feature_names)
    if not all(isinstance(name, str) for name in names):
        raise UnsupportedModelError("feature_names holds something that is not text; give one name per feature.")
    if len(names) != size:
        raise UnsupportedModelError(f"feature_names holds {len(names)} names and the model has {size} features.")
    if len(set(names)) != size:
        raise UnsupportedModelError("feature_names holds a name twice; give every feature a name of its own.")
    if fitted is not None and names != list(fitted):
        raise UnsupportedModelError("feature_names differs from the names or the order that the model was fitted with.")
    return names
