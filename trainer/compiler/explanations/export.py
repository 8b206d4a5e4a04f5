"""Model -> SQL text of its explanation: assemble, fold, choose the method by its cost, write."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from m2cgen import ast
from numpy.typing import ArrayLike

from trainer.compiler.assemblers import assemble, final_estimator
from trainer.compiler.code_generator import FLOATS, Parameter, function_statements, json_text, quote_function_name
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.explanations import path, quadrature, tables
from trainer.compiler.explanations.ensemble import Ensemble, LinearScores, raw_output
from trainer.compiler.explanations.interpreter import ExplanationInterpreter, TreeWriter
from trainer.compiler.explanations.linear import background_of
from trainer.compiler.export import feature_names_of
from trainer.compiler.folding import fold
from trainer.compiler.interpreter import PARAMETER
from trainer.compiler.limits import MAXIMUM_EXPLAINED_DEPTH, MAXIMUM_SPLITS, MAXIMUM_SQL_BYTES, check_limit
from trainer.compiler.nodes import Floats

Method = Literal["exact", "tables", "quadrature", "path"]

# In a session, a byte of an exact explanation takes some 12 bytes of memory and 0.1 us of the first call.
MAXIMUM_EXACT_BYTES = 8 * 1024 * 1024

# Microseconds, on the server of `costs`, of a row that is alone in its transaction.
CALL_COST = 8.0
FEATURE_COST = 0.5  # of trees
COLUMN_COST = 0.12  # of linear scores, per output and once

LAYOUT = "per output, one value per feature and then the base value, which add up to the raw output"
RAW_OUTPUT = (
    "the margin of boosting and linear models, the probability or value of forests, before calibration and link"
    " function, and the mean over folds or the members of a vote"
)
METHODS = {
    "exact": "exact Shapley values over the paths of the training data",
    "path": "changes of the mean value along the path that the row takes, which are no Shapley values",
}


def export_explanation(
    model: Any,
    function_name: str,
    feature_names: Sequence[str] | None = None,
    *,
    background: ArrayLike | None = None,
    runtime_schema: str = "ml",
    revoke_from_public: bool = False,
) -> str:
    """Return SQL that creates a function which says what each feature contributes to a model's raw output.

    The function takes ``float8[]`` like the one of `export_to_postgres`, with the same errors, and returns
    ``float8[]`` in the layout of LightGBM's ``pred_contrib``: per output, one value per feature and then the base
    value; they add up to the raw output. That is the margin of boosting and of linear models, the probability of
    forests (the value, of their regressors), always before a link function. Two classes have one margin, that of the
    second class; otherwise, and for forests always, there is one output per class. Explained of CalibratedClassifierCV
    is what its calibrators take, averaged over the folds: contributions add up to no probability there. A voting
    ensemble is explained where what its members vote with is raw output: forests, and regressors made of trees.

    Trees get exact Shapley values, path-dependent TreeSHAP: what a feature that is not known would say is taken from
    the training rows at each split (their weights where the library keeps them, their hessians for XGBoost). A base
    value is then the mean raw output of the training rows. Contributions are those of the features as they come:
    imputers, scalers and encoders in front of trees count as part of the splits, so that several columns made from
    one feature are one player.

    Linear models get coefficient * (column - column of the background row), summed by the feature that the column was
    made from. ``background`` holds one value per feature, a mean as a rule; by default it is what a scaler subtracts,
    else what an imputer fills in, else zero. It does not bear on trees.

    ``feature_names`` defaults as in `export_to_postgres`. Raises `UnsupportedModelError` for a model whose trees are
    too large or do not say how many training rows came by.
    """
    return _export(model, function_name, feature_names, "exact", background, runtime_schema, revoke_from_public)


def export_path_attribution(
    model: Any,
    function_name: str,
    feature_names: Sequence[str] | None = None,
    *,
    background: ArrayLike | None = None,
    runtime_schema: str = "ml",
    revoke_from_public: bool = False,
) -> str:
    """Return SQL that creates a function like that of `export_explanation`, cheaper and with other numbers.

    On the path that the row takes through a tree, every split changes the mean of the training rows that are left:
    the change goes to the feature of the split, as A. Saabas proposed. Contributions and base value add up to the
    raw output, but they are no Shapley values: a feature near a leaf is favoured over one near the root. Of linear
    models both functions say the same.
    """
    return _export(model, function_name, feature_names, "path", background, runtime_schema, revoke_from_public)


def explanation_cost(model: Any) -> float:
    """Return the expected microseconds in which the function of `export_explanation` explains one row.

    ``model`` is a fitted model or its AST.
    """
    explained = raw_output(fold(model if isinstance(model, ast.Expr) else assemble(model)))
    return _call_cost(explained) + (0.0 if isinstance(explained, LinearScores) else _exact_method(explained)[1])


def path_attribution_cost(model: Any) -> float:
    """Return the expected microseconds in which the function of `export_path_attribution` explains one row."""
    explained = raw_output(fold(model if isinstance(model, ast.Expr) else assemble(model)))
    return _call_cost(explained) + (0.0 if isinstance(explained, LinearScores) else path.cost(explained))


def explanation_body(
    expr: ast.Expr, method: Method, background: ArrayLike | None = None, runtime_schema: str = "ml"
) -> str:
    """Return the body of the function that explains a folded AST; ``exact`` chooses the cheaper exact method."""
    explained = raw_output(expr)
    interpreter = ExplanationInterpreter(runtime_schema)
    if isinstance(explained, LinearScores):
        return interpreter.explain_scores(explained, _background(explained, background))
    check_limit("splits", sum(tree.tree.splits for tree in explained.trees), MAXIMUM_SPLITS)
    if method != "path":
        depth = max(tree.tree.depth for tree in explained.trees)
        check_limit("splits on the longest path of one tree", depth, MAXIMUM_EXPLAINED_DEPTH)
    return interpreter.explain_trees(explained, _tree_writer(explained, method))


def _tree_writer(ensemble: Ensemble, method: Method) -> TreeWriter:
    if method == "exact":
        return _exact_method(ensemble)[0]
    if method == "path":
        return path.write
    if method == "quadrature":
        return quadrature.write
    groups = tables.groups_of(ensemble)
    if groups is None:
        raise UnsupportedModelError("The model is too large to be explained by tables; use the method quadrature.")
    return partial(tables.write, groups=groups)


def _exact_method(ensemble: Ensemble) -> tuple[TreeWriter, float]:
    """Return the cheaper exact method and its expected microseconds."""
    cost = quadrature.cost(ensemble)
    groups = tables.groups_of(ensemble)
    if groups is not None and (table_cost := tables.cost(groups, ensemble.tree_outputs)) <= cost:
        return partial(tables.write, groups=groups), table_cost
    return quadrature.write, cost


def _call_cost(explained: Ensemble | LinearScores) -> float:
    if isinstance(explained, LinearScores):
        columns = sum(part.source.output_size * (1 + part.output_size) for part in explained.parts)
        return CALL_COST + columns * COLUMN_COST
    return CALL_COST + FEATURE_COST * len({int(split) for tree in explained.trees for split in tree.tree.feature})


def _background(scores: LinearScores, background: ArrayLike | None) -> Floats:
    if background is None:
        return background_of(scores)
    given = np.asarray(background, dtype=np.float64)
    if given.shape != (scores.features,) or not np.isfinite(given).all():
        raise UnsupportedModelError(
            f"The background must be {scores.features} finite numbers, one per feature of the model."
        )
    return given


def _export(
    model: Any,
    function_name: str,
    feature_names: Sequence[str] | None,
    method: Method,
    background: ArrayLike | None,
    runtime_schema: str,
    revoke_from_public: bool,
) -> str:
    name = quote_function_name(function_name)
    expr = fold(assemble(model))
    names = feature_names_of(model, feature_names)
    body = explanation_body(expr, method, background, runtime_schema)
    explained = raw_output(expr)
    how = METHODS[method]
    if isinstance(explained, LinearScores):
        how = f"against the background {json_text(_background(explained, background).tolist())}"
    comment = (
        f"{type(final_estimator(model)).__name__}: contributions to the raw output ({RAW_OUTPUT}), {how}; {LAYOUT};"
        f" {PARAMETER} holds {json_text(names)}."
    )
    parameters = [Parameter(PARAMETER, FLOATS)]
    sql = function_statements(name, parameters, "plpgsql", "SAFE", body, comment, revoke_from_public)
    size = len(sql.encode())
    if method != "path" and size > MAXIMUM_EXACT_BYTES:
        raise UnsupportedModelError(
            f"The exact explanation of the model has {size:,} bytes of SQL and the compiler stops at"
            f" {MAXIMUM_EXACT_BYTES:,}; fit a smaller model, or use export_path_attribution."
        )
    check_limit("bytes of SQL", size, MAXIMUM_SQL_BYTES)
    return sql
