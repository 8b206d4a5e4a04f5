"""HistGradientBoosting: all in float64, the baseline first, then the trees in order.

Categorical features are encoded before the trees see them: a split holds a set of codes, and an unknown category is
a missing value.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler, binary_probabilities
from trainer.compiler.assemblers.columns import Columns, select
from trainer.compiler.assemblers.encoders import ordinal_encoder
from trainer.compiler.assemblers.tree import tree_from_nodes
from trainer.compiler.errors import UnsupportedModelError


class HistGradientBoostingAssembler(Assembler):
    """Baseline plus one leaf per tree; the classes below add the link function."""

    def scores(self) -> nodes.BoostedTreesExpr:
        """Return one score per output."""
        model = self.model
        columns, codes = self.columns(), self._codes()
        groups = [
            [_tree(iteration[output], codes) for iteration in model._predictors]
            for output in range(model.n_trees_per_iteration_)
        ]
        return nodes.BoostedTreesExpr(columns, groups, np.ravel(model._baseline_prediction))

    def columns(self) -> nodes.VectorNode:
        """Return what the trees read: the codes of categorical features first, then the other features."""
        model = self.model
        if model.is_categorical_ is None:
            return self.source
        source = Columns(self.source)
        categorical = np.flatnonzero(model.is_categorical_)
        others = np.flatnonzero(~np.asarray(model.is_categorical_))
        codes = ordinal_encoder(self._encoder(), select(source, categorical)).vector
        return nodes.ConcatVector([codes, select(source, others).vector]) if len(others) else codes

    def _encoder(self) -> Any:
        return self.model._preprocessor.named_transformers_["encoder"]

    def _codes(self) -> list[int]:
        """Return the number of codes of each categorical feature."""
        if self.model.is_categorical_ is None:
            return []
        return [int((~np.isnan(np.asarray(known, dtype=np.float64))).sum()) for known in self._encoder().categories_]


class HistGradientBoostingClassifierAssembler(HistGradientBoostingAssembler):
    """The logistic function of one score for two classes, the softmax of one score per class for more."""

    def decision_function(self) -> ast.Expr:
        """Return the score, or one per class when there are more than two."""
        if len(self.model.classes_) == 1:
            raise UnsupportedModelError(
                "HistGradientBoostingClassifier was fitted on a single class; fit it on at least two."
            )
        if self.model.loss != "log_loss":
            raise UnsupportedModelError(
                f"HistGradientBoostingClassifier with loss={self.model.loss!r} is not supported; use 'log_loss'."
            )
        return self.scores()

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        scores = self.decision_function()
        return binary_probabilities(scores) if scores.output_size == 1 else nodes.SoftmaxVector(scores)


class HistGradientBoostingRegressorAssembler(HistGradientBoostingAssembler):
    """The score itself, or its exponential for the losses with a logarithmic link."""

    def assemble(self) -> ast.Expr:
        """Return a scalar."""
        loss = self.model.loss
        if loss in ("squared_error", "absolute_error", "quantile"):
            return self.scores()
        if loss in ("poisson", "gamma"):
            return ast.ExpExpr(self.scores())
        raise UnsupportedModelError(f"{type(self.model).__name__} with loss={loss!r} is not supported.")


def _tree(predictor: Any, codes: Sequence[int]) -> nodes.Tree:
    table = predictor.nodes
    threshold = table["num_threshold"].astype(np.float64)
    breakpoints: dict[int, nodes.Floats] = {}
    for row in np.flatnonzero(table["is_categorical"].astype(bool) & ~table["is_leaf"].astype(bool)).tolist():
        bits = predictor.raw_left_cat_bitsets[table["bitset_idx"][row]]
        goes_left = np.array([bits[code // 32] >> (code % 32) & 1 for code in range(codes[table["feature_idx"][row]])])
        # A value goes left until the first breakpoint, then right until the second, and so on.
        changes: nodes.Floats = np.flatnonzero(np.diff(goes_left, prepend=1)).astype(np.float64) - 1
        threshold[row] = changes[0] if len(changes) else np.inf
        if len(changes) > 1:
            breakpoints[row] = changes
    return tree_from_nodes(
        is_leaf=table["is_leaf"].astype(bool),
        feature=table["feature_idx"],
        threshold=threshold,
        left=table["left"],
        right=table["right"],
        missing_left=table["missing_go_to_left"].astype(bool),
        leaf_values=table["value"][:, np.newaxis],
        cover=table["count"],
        breakpoints=breakpoints,
    )
