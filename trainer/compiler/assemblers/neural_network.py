"""scikit-learn's neural networks: one dense layer after the other.

The library leaves the order of the sums to BLAS and does not agree with itself between one row and many, so a parity
test needs an absolute tolerance (1e-12). A network that was fitted on float32 numbers holds float32 weights; for rows
of float64, which are all that a compiled function gets, the library computes in float64 with the same weights.
"""

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler, binary_probabilities
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.limits import MAXIMUM_UNITS, check_limit

ACTIVATIONS = ("identity", "logistic", "relu", "tanh")

# Values below 1e-100 count as zero in the compiled function. A network that makes less than 1e-40 of them is not
# disturbed; neither is one whose weights below the smallest one are left out, if no value reaches the limit.
LARGEST_AMPLIFICATION = 1e60
SMALLEST_WEIGHT = 1e-200
VALUE_LIMIT = 1e100


class MLPAssembler(Assembler):
    """Hidden layers with one activation, and an output layer; the classes below add the output's activation."""

    @property
    def name(self) -> str:
        """The name of the model's class, for messages."""
        return type(self.model).__name__

    def scores(self) -> nodes.DenseExpr:
        """Return the output layer before its activation."""
        model = self.model
        if model.activation not in ACTIVATIONS:
            raise UnsupportedModelError(
                f"{self.name} with activation={model.activation!r} is not supported; use one of"
                f" {', '.join(ACTIVATIONS)}."
            )
        weights = [np.asarray(layer, dtype=np.float64) for layer in model.coefs_]
        intercepts = [np.asarray(layer, dtype=np.float64) for layer in model.intercepts_]
        check_limit("units in one layer", max(layer.shape[1] for layer in weights), MAXIMUM_UNITS)
        if not all(np.isfinite(layer).all() for layer in (*weights, *intercepts)):
            raise UnsupportedModelError(
                f"{self.name} has a weight that is not finite: the fit has diverged; scale the features and fit again."
            )
        with np.errstate(over="ignore"):
            amplification = np.prod([np.abs(layer).sum(axis=0).max(initial=1.0) for layer in weights])
        if not amplification <= LARGEST_AMPLIFICATION:
            raise UnsupportedModelError(
                f"{self.name} has weights so large that rounding decides on its output; scale the features and the"
                " target and fit again."
            )
        source = self.finite_source(allow_missing=False)
        kept = [np.where(np.abs(layer) < SMALLEST_WEIGHT, 0.0, layer) for layer in weights]
        if any(not np.array_equal(some, every) for some, every in zip(kept, weights, strict=True)):
            source = nodes.CheckedVector(source, allow_missing=False, limit=VALUE_LIMIT)
        hidden: ast.Expr = source
        for layer, bias in zip(kept[:-1], intercepts[:-1], strict=True):
            hidden = nodes.DenseExpr(hidden, layer, bias, model.activation)
        return nodes.DenseExpr(hidden, kept[-1], intercepts[-1], "identity")

    def refuse_output(self) -> UnsupportedModelError:
        """Return the error that names the activation of an output layer that cannot be compiled."""
        return UnsupportedModelError(
            f"{self.name} with {self.model.out_activation_!r} as the activation of its output is not supported; leave"
            " it as the library sets it."
        )


class MLPClassifierAssembler(MLPAssembler):
    """The logistic function of one score for two classes, the softmax of one score per class for more."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``; refuse a single class and several labels per row."""
        model = self.model
        if model._label_binarizer.y_type_.startswith("multilabel"):
            raise UnsupportedModelError(f"{self.name} was fitted on several labels per row; fit one model for each.")
        if len(model.classes_) == 1:
            raise UnsupportedModelError(f"{self.name} was fitted on a single class; fit it on at least two.")
        scores = self.scores()
        if model.out_activation_ == "logistic" and scores.output_size == 1:
            return binary_probabilities(nodes.ElementExpr(scores, 0))
        if model.out_activation_ == "softmax":
            return nodes.SoftmaxVector(scores)
        raise self.refuse_output()


class MLPRegressorAssembler(MLPAssembler):
    """The score itself, or its exponential for the Poisson loss."""

    def assemble(self) -> ast.Expr:
        """Return a scalar; refuse several targets."""
        if self.model.n_outputs_ != 1:
            raise UnsupportedModelError(f"{self.name} was fitted on several targets; fit one each.")
        score = nodes.ElementExpr(self.scores(), 0)
        if self.model.out_activation_ == "identity":
            return score
        if self.model.out_activation_ == "exp":
            return ast.ExpExpr(score)
        raise self.refuse_output()
