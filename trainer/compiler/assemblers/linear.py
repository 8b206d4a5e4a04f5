"""Linear models: logistic regression and the regressors that predict ``intercept + X @ coefficients``.

m2cgen's own assembler chains one node per feature, which recurses (1,000 features fail) and is written as one
long expression, about twice as slow per call as a loop. The order of the sum is the same: from the intercept,
left to right. The library leaves that order to BLAS and does not agree with itself between one row and many,
so a parity test of these families needs an absolute tolerance (1e-12).
"""

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler, binary_probabilities
from trainer.compiler.errors import UnsupportedModelError

SMALLEST_COEFFICIENT = 1e-200
LARGEST_COEFFICIENT = 1e80


class LinearRegressionAssembler(Assembler):
    """``intercept + X @ coefficients``."""

    def assemble(self) -> ast.Expr:
        """Return a scalar."""
        return self.scores(np.asarray(self.model.coef_), np.asarray(self.model.intercept_))

    def scores(self, coefficients: nodes.Floats, intercepts: nodes.Floats) -> nodes.LinearExpr:
        """Return one score per row of ``coefficients``, or one in all when that has one dimension."""
        name = type(self.model).__name__
        matrix = np.atleast_2d(coefficients).astype(np.float64)
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
        bias = np.broadcast_to(np.ravel(intercepts).astype(np.float64), (len(matrix),))
        return nodes.LinearExpr(self.finite_source(allow_missing=False), matrix, bias)


class SingleTargetAssembler(LinearRegressionAssembler):
    """A regressor of this family fitted on one target."""

    def assemble(self) -> ast.Expr:
        """Return a scalar; refuse several targets."""
        expr = super().assemble()
        if expr.output_size != 1:
            raise UnsupportedModelError(f"{type(self.model).__name__} was fitted on several targets; fit one each.")
        return expr


class LogisticRegressionAssembler(LinearRegressionAssembler):
    """The logistic function of one score for two classes, the softmax of one score per class for more."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        scores = self.scores(np.asarray(self.model.coef_), np.asarray(self.model.intercept_))
        if len(self.model.classes_) == 2:
            return binary_probabilities(scores)
        return nodes.SoftmaxVector(scores)
