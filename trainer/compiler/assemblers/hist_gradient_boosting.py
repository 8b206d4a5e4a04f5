"""HistGradientBoosting: all in float64, the baseline first, then the trees in order."""

from typing import Any

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler, binary_probabilities
from trainer.compiler.assemblers.tree import tree_from_nodes
from trainer.compiler.errors import UnsupportedModelError


class HistGradientBoostingAssembler(Assembler):
    """Baseline plus one leaf per tree; the classes below add the link function."""

    def scores(self) -> nodes.BoostedTreesExpr:
        """Return one score per output."""
        model = self.model
        if model.is_categorical_ is not None and np.any(model.is_categorical_):
            raise UnsupportedModelError(
                f"{type(model).__name__} was fitted with categorical features, which are not supported yet;"
                " encode them as numbers and fit again."
            )
        groups = [
            [_tree(iteration[output].nodes) for iteration in model._predictors]
            for output in range(model.n_trees_per_iteration_)
        ]
        return nodes.BoostedTreesExpr(self.source, groups, np.ravel(model._baseline_prediction))


class HistGradientBoostingClassifierAssembler(HistGradientBoostingAssembler):
    """The logistic function of one score for two classes, the softmax of one score per class for more."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        if len(self.model.classes_) == 1:
            raise UnsupportedModelError(
                "HistGradientBoostingClassifier was fitted on a single class; fit it on at least two."
            )
        scores = self.scores()
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


def _tree(table: Any) -> nodes.Tree:
    return tree_from_nodes(
        is_leaf=table["is_leaf"].astype(bool),
        feature=table["feature_idx"],
        threshold=table["num_threshold"],
        left=table["left"],
        right=table["right"],
        missing_left=table["missing_go_to_left"].astype(bool),
        leaf_values=table["value"][:, np.newaxis],
    )
