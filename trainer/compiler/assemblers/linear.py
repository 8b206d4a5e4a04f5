"""Linear models: classifiers with and without probabilities, and regressors.

m2cgen's own assembler chains one node per feature, which recurses (1,000 features fail) and is written as one
long expression, about twice as slow per call as a loop. The order of the sum is the same: from the intercept,
left to right. The library leaves that order to BLAS and does not agree with itself between one row and many,
so a parity test of these families needs an absolute tolerance (1e-12).
"""

from typing import Any

import numpy as np
from m2cgen import ast
from scipy import sparse
from sklearn._loss.link import IdentityLink

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler, binary_probabilities, with_complement
from trainer.compiler.errors import UnsupportedModelError

SMALLEST_COEFFICIENT = 1e-200
LARGEST_COEFFICIENT = 1e80


class LinearAssembler(Assembler):
    """What linear models share: ``intercept + X @ coefficients``."""

    def scores(self) -> nodes.LinearExpr:
        """Return one score per row of coefficients, or one in all when they have one dimension."""
        name = type(self.model).__name__
        coefficients: Any = self.model.coef_
        if sparse.issparse(coefficients):
            coefficients = coefficients.toarray()
        matrix = np.atleast_2d(coefficients).astype(np.float64)
        intercepts = np.ravel(self.model.intercept_).astype(np.float64)
        magnitudes = np.abs(matrix[matrix != 0])
        if not (
            np.isfinite(matrix).all()
            and np.isfinite(intercepts).all()
            and (magnitudes >= SMALLEST_COEFFICIENT).all()
            and (magnitudes <= LARGEST_COEFFICIENT).all()
        ):
            raise UnsupportedModelError(
                f"{name} has a coefficient that is not finite or whose absolute value lies outside"
                f" {SMALLEST_COEFFICIENT} to {LARGEST_COEFFICIENT}; scale the features and fit again."
            )
        bias = np.broadcast_to(intercepts, (len(matrix),))
        return nodes.LinearExpr(self.finite_source(allow_missing=False), matrix, bias)


class SingleTargetAssembler(LinearAssembler):
    """A regressor of this family fitted on one target."""

    def assemble(self) -> ast.Expr:
        """Return a scalar; refuse several targets."""
        scores = self.scores()
        if scores.output_size != 1:
            raise UnsupportedModelError(f"{type(self.model).__name__} was fitted on several targets; fit one each.")
        return scores


class GeneralizedLinearAssembler(SingleTargetAssembler):
    """The score, or its exponential where the link function is the logarithm."""

    def assemble(self) -> ast.Expr:
        """Return a scalar."""
        link = self.model._base_loss.link
        scores = super().assemble()
        return scores if isinstance(link, IdentityLink) else ast.ExpExpr(scores)


class ScoreClassifierAssembler(LinearAssembler):
    """A classifier that has scores and no probabilities: it can be calibrated, and that can be compiled."""

    def decision_function(self) -> ast.Expr:
        """Return the score, or one per class when there are more than two."""
        return self.scores()

    def assemble(self) -> ast.Expr:
        """Refuse: there are no probabilities."""
        raise UnsupportedModelError(
            f"{type(self.model).__name__} has no predict_proba; fit it inside CalibratedClassifierCV."
        )


class LogisticRegressionAssembler(ScoreClassifierAssembler):
    """The logistic function of one score for two classes, the softmax of one score per class for more."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        scores = self.scores()
        return binary_probabilities(scores) if scores.output_size == 1 else nodes.SoftmaxVector(scores)


class SGDClassifierAssembler(ScoreClassifierAssembler):
    """One classifier per class against the others; their probabilities are divided by their sum."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``; refuse a loss that has none."""
        loss = self.model.loss
        if loss not in ("log_loss", "modified_huber"):
            raise UnsupportedModelError(
                f"SGDClassifier with loss={loss!r} has no predict_proba; fit it inside CalibratedClassifierCV or with"
                " loss='log_loss'."
            )
        scores = self.scores()
        positive = [
            ast.SigmoidExpr(score) if loss == "log_loss" else _share_of_margin(score)
            for score in nodes.elements(scores)
        ]
        if len(positive) == 1:
            return with_complement(positive[0])
        return nodes.NormalizedVector(ast.VectorVal(positive))


def _share_of_margin(score: ast.Expr) -> ast.Expr:
    """Return 0 to 1 for scores from -1 to 1, and the nearer of the two beyond."""
    shifted = ast.BinNumExpr(nodes.ClipExpr(score, -1.0, 1.0), ast.NumVal(1.0), ast.BinNumOpType.ADD)
    return ast.BinNumExpr(shifted, ast.NumVal(2.0), ast.BinNumOpType.DIV)
