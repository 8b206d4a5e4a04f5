"""What assemblers share: m2cgen's base class with a source of columns, and a classifier's usual last step."""

from typing import Any

import numpy as np
from m2cgen import ast
from m2cgen.assemblers.base import ModelAssembler

from trainer.compiler import nodes


class Assembler(ModelAssembler):  # type: ignore[misc]
    """Turns one fitted estimator into an AST over ``source``, the columns that the estimator sees."""

    model: Any

    def __init__(self, model: Any, source: nodes.VectorNode) -> None:
        super().__init__(model)
        self.source = source

    def finite_source(self, allow_missing: bool) -> nodes.VectorNode:
        """Return ``source`` behind scikit-learn's usual check for infinity and missing values."""
        if self.source.is_finite and (allow_missing or not self.source.may_be_missing):
            return self.source
        return nodes.CheckedVector(self.source, allow_missing=allow_missing, limit=np.inf)


def binary_probabilities(score: ast.Expr) -> ast.VectorVal:
    """Return ``[1 - p, p]`` where ``p`` is the logistic function of ``score``."""
    positive = ast.SigmoidExpr(score, to_reuse=True)
    negative = ast.BinNumExpr(ast.NumVal(1.0), positive, ast.BinNumOpType.SUB)
    return ast.VectorVal([negative, positive])
