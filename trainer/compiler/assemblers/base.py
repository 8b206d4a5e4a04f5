"""What assemblers share: m2cgen's base class with a source of columns, and a classifier's usual last step."""

from typing import Any

import numpy as np
from m2cgen import ast
from m2cgen.assemblers.base import ModelAssembler

from trainer.compiler import nodes
from trainer.compiler.errors import UnsupportedModelError


class Assembler(ModelAssembler):  # type: ignore[misc]
    """Turns one fitted estimator into an AST over ``source``, the columns that the estimator sees."""

    model: Any

    def __init__(self, model: Any, source: nodes.VectorNode, is_sparse: bool = False) -> None:
        super().__init__(model)
        self.source = source
        self.is_sparse = is_sparse

    def decision_function(self) -> ast.Expr:
        """Return the scores that the library's method of this name gives: a scalar for two classes, else a vector."""
        raise UnsupportedModelError(
            f"The decision_function of {type(self.model).__name__} is not supported, and calibration takes it."
        )

    def finite_source(self, allow_missing: bool) -> nodes.VectorNode:
        """Return ``source`` behind scikit-learn's usual check for infinity and missing values."""
        if self.source.is_finite and (allow_missing or not self.source.may_be_missing):
            return self.source
        return nodes.CheckedVector(self.source, allow_missing=allow_missing, limit=np.inf)


def binary_probabilities(score: ast.Expr) -> ast.VectorVal:
    """Return ``[1 - p, p]`` where ``p`` is the logistic function of ``score``."""
    return with_complement(ast.SigmoidExpr(score))


def with_complement(positive: ast.Expr) -> ast.VectorVal:
    """Return ``[1 - p, p]`` where ``p`` is the scalar ``positive``."""
    positive.to_reuse = True
    return ast.VectorVal([ast.BinNumExpr(ast.NumVal(1.0), positive, ast.BinNumOpType.SUB), positive])
