"""Evaluates an AST in Python, one row at a time, with plain loops.

It shares nothing with the emitter: where it agrees with the library and the SQL does not, the text is wrong;
where it disagrees with the library, the assembler is. Sums are written out because ``sum()`` compensates from
Python 3.12 on.
"""

import math
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from m2cgen import ast
from m2cgen.interpreters.interpreter import BaseInterpreter

from trainer.compiler import nodes

Row = Sequence[float | None]

_OPERATIONS = {
    ast.BinNumOpType.ADD: operator.add,
    ast.BinNumOpType.SUB: operator.sub,
    ast.BinNumOpType.MUL: operator.mul,
    ast.BinNumOpType.DIV: operator.truediv,
}


class RefusedRowError(ValueError):
    """The row holds a value that the library refuses."""


def evaluate(expr: ast.Expr, row: Row) -> list[float]:
    """Return the value of ``expr`` for one row: a list of one element for a scalar.

    ``row`` holds one value per feature; None and NaN are missing. Raises `RefusedRowError` for a value that
    the library refuses.
    """
    clean = [None if value is None or math.isnan(value) else float(value) for value in row]
    result = ReferenceInterpreter(clean).interpret(expr)
    return list(result) if isinstance(result, list) else [result]


class ReferenceInterpreter(BaseInterpreter):  # type: ignore[misc]
    """The visitor behind `evaluate`: a vector becomes a list, a missing value None."""

    def __init__(self, row: list[float | None]) -> None:
        super().__init__()
        self._row = row
        self._vectors: dict[int, Any] = {}

    def interpret_feature_vector(self, node: nodes.FeatureVector, **_: Any) -> list[float | None]:
        """Return the row, without what lies beyond the last feature."""
        return self._row[: node.output_size]

    def interpret_checked_vector(self, node: nodes.CheckedVector, **_: Any) -> list[float | None]:
        """Return the source or raise an error."""
        values = self._do_interpret(node.source)
        for position, value in enumerate(values, start=1):
            if value is None and not node.allow_missing:
                raise RefusedRowError(f"feature {position} is missing")
            if value is not None and abs(value) >= node.limit:
                raise RefusedRowError(f"feature {position} is {value}")
        return list(values)

    def interpret_guarded_vector(self, node: nodes.GuardedVector, **_: Any) -> list[float | None]:
        """Return the source or raise an error."""
        values = self._do_interpret(node.source)
        for index, value in enumerate(values):
            if value is None and not node.missing_allowed[index]:
                raise RefusedRowError(f"feature {index + 1} is missing")
            if value is not None and not node.lowest[index] <= value <= node.highest[index]:
                raise RefusedRowError(f"feature {index + 1} is {value}")
            if value is not None and index in node.known and _below(node.known[index], value) % 2 == 0:
                raise RefusedRowError(f"feature {index + 1} is {value}")
        return list(values)

    def interpret_select_vector(self, node: nodes.SelectVector, **_: Any) -> list[float | None]:
        """Return the chosen columns."""
        values = self._do_interpret(node.source)
        return [values[index] for index in node.indices]

    def interpret_impute_vector(self, node: nodes.ImputeVector, **_: Any) -> list[float]:
        """Return the source with its gaps filled."""
        values = self._do_interpret(node.source)
        return [float(fill) if value is None else value for value, fill in zip(values, node.fill, strict=True)]

    def interpret_missing_indicator_vector(self, node: nodes.MissingIndicatorVector, **_: Any) -> list[float]:
        """Return 1 for each gap."""
        return [1.0 if value is None else 0.0 for value in self._do_interpret(node.source)]

    def interpret_standardize_vector(self, node: nodes.StandardizeVector, **_: Any) -> list[float | None]:
        """Subtract, then divide."""
        values = list(self._do_interpret(node.source))
        for index, value in enumerate(values):
            if value is not None and node.means is not None:
                value = value - float(node.means[index])
            if value is not None and node.scales is not None:
                value = value / float(node.scales[index])
            values[index] = value
        return values

    def interpret_scale_vector(self, node: nodes.ScaleVector, **_: Any) -> list[float | None]:
        """Multiply, add, clip."""
        values = list(self._do_interpret(node.source))
        for index, value in enumerate(values):
            if value is not None:
                value = value * float(node.scales[index]) + float(node.shifts[index])
                if node.bounds is not None:
                    value = min(max(value, node.bounds[0]), node.bounds[1])
            values[index] = value
        return values

    def interpret_step_vector(self, node: nodes.StepVector, **_: Any) -> list[float | None]:
        """Look up the value of the interval."""
        result = []
        for index, value in enumerate(self._do_interpret(node.source)):
            if value is None:
                step = float(node.at_missing[index])
            else:
                step = float(node.values[index][_below(node.breakpoints[index], value)])
            result.append(None if math.isnan(step) else step)
        return result

    def interpret_concat_vector(self, node: nodes.ConcatVector, **_: Any) -> list[float | None]:
        """Return the parts one after the other."""
        return [value for part in node.parts for value in self._do_interpret(part)]

    def interpret_linear_expr(self, expr: nodes.LinearExpr, **_: Any) -> Any:
        """Sum from the intercept, left to right."""
        values = self._do_interpret(expr.source)
        scores = []
        for intercept, weights in zip(expr.intercepts.tolist(), expr.coefficients.tolist(), strict=True):
            score = intercept
            for value, weight in zip(values, weights, strict=True):
                score = score + value * weight
            scores.append(score)
        return scores if expr.output_size > 1 else scores[0]

    def interpret_boosted_trees_expr(self, expr: nodes.BoostedTreesExpr, **_: Any) -> Any:
        """Sum from the base, tree by tree; then divide."""
        values = self._do_interpret(expr.source)
        number = np.float32 if expr.single else float
        scores = []
        for base, trees in zip(expr.base.tolist(), expr.groups, strict=True):
            score = number(base)
            for tree in trees:
                score = score + number(tree.leaves[leaf_of(tree, values), 0])
            scores.append(score if expr.divisor is None else score / number(expr.divisor))
        return scores if expr.output_size > 1 else scores[0]

    def interpret_averaged_trees_expr(self, expr: nodes.AveragedTreesExpr, **_: Any) -> Any:
        """Sum from zero, tree by tree, then divide."""
        values = self._do_interpret(expr.source)
        scores = [0.0] * expr.output_size
        for tree in expr.trees:
            leaf = tree.leaves[leaf_of(tree, values)].tolist()
            scores = [score + share for score, share in zip(scores, leaf, strict=True)]
        scores = [score / len(expr.trees) for score in scores]
        return scores if expr.output_size > 1 else scores[0]

    def interpret_dense_expr(self, expr: nodes.DenseExpr, **_: Any) -> list[float]:
        """Sum the products from left to right, add the intercept, activate."""
        values = self._do_interpret(expr.source)
        activate = _ACTIVATIONS[expr.activation]
        result = []
        for intercept, weights in zip(expr.intercepts.tolist(), expr.weights.T.tolist(), strict=True):
            score = 0.0
            for value, weight in zip(values, weights, strict=True):
                score = score + value * weight
            result.append(activate(score + intercept))
        return result

    def interpret_element_expr(self, expr: nodes.ElementExpr, **_: Any) -> Any:
        """Return one element; the vector is evaluated once."""
        if id(expr.source) not in self._vectors:
            self._vectors[id(expr.source)] = self._do_interpret(expr.source)
        return self._vectors[id(expr.source)][expr.index]

    def interpret_signed_square_expr(self, expr: nodes.SignedSquareExpr, **_: Any) -> float:
        """Return |x| * x."""
        value = self._do_interpret(expr.expr)
        return float(abs(value) * value)

    def interpret_softmax_vector(self, expr: nodes.SoftmaxVector, **_: Any) -> list[float]:
        """Subtract the largest score, exponentiate, divide by the sum."""
        scores = self._do_interpret(expr.source)
        largest = max(scores)
        exponentials = [math.exp(score - largest) for score in scores]
        total = 0.0
        for exponential in exponentials:
            total = total + exponential
        return [exponential / total for exponential in exponentials]

    def interpret_sigmoid_single_expr(self, expr: nodes.SigmoidSingleExpr, **_: Any) -> np.float32:
        """Return 1 / (1 + exp(-x)), every step rounded to float32."""
        exponent = min(-np.float32(self._do_interpret(expr.expr)), np.float32(88.7))
        return np.float32(1) / (exponential_single(exponent) + np.float32(1))

    def interpret_exponential_single_expr(self, expr: nodes.ExponentialSingleExpr, **_: Any) -> np.float32:
        """Return exp(x) in float32."""
        return exponential_single(np.float32(self._do_interpret(expr.expr)))

    def interpret_positive_expr(self, expr: nodes.PositiveExpr, **_: Any) -> float:
        """Return 1 or 0."""
        return 1.0 if self._do_interpret(expr.expr) > 0 else 0.0

    def interpret_complement_single_vector(self, expr: nodes.ComplementSingleVector, **_: Any) -> list[np.float32]:
        """Return 1 - x and x, both in float32."""
        value = np.float32(self._do_interpret(expr.expr))
        return [np.float32(1) - value, value]

    def interpret_softmax_single_vector(self, expr: nodes.SoftmaxSingleVector, **_: Any) -> list[np.float32]:
        """Subtract the largest score, exponentiate, add in double precision, divide in float32."""
        scores = [np.float32(score) for score in self._do_interpret(expr.source)]
        with np.errstate(over="ignore", under="ignore"):
            exponentials = [exponential_single(score - max(scores)) for score in scores]
            total = 0.0
            for exponential in exponentials:
                total = total + float(exponential)
            return [exponential / np.float32(total) for exponential in exponentials]

    def interpret_normalized_vector(self, expr: nodes.NormalizedVector, **_: Any) -> list[float]:
        """Divide by the sum."""
        values = self._do_interpret(expr.source)
        total = _pairwise_sum(values)
        return [value / total for value in values] if total != 0 else [1 / len(values)] * len(values)

    def interpret_mean_vector(self, expr: nodes.MeanVector, **_: Any) -> list[float]:
        """Sum from zero, vector by vector, then divide."""
        means = [0.0] * expr.output_size
        for vector in expr.exprs:
            means = [mean + value for mean, value in zip(means, self._do_interpret(vector), strict=True)]
        return [mean / len(expr.exprs) for mean in means]

    def interpret_average_vector(self, expr: nodes.AverageVector, **_: Any) -> list[float]:
        """Sum the products in order, then divide; with ``single`` in float32."""
        number = np.float32 if expr.single else float
        sums: list[Any] = [number(0)] * expr.output_size
        for place, vector in enumerate(expr.exprs):
            factor = None if expr.weights is None else expr.weights[place]
            values = [number(value) for value in self._do_interpret(vector)]
            products = values if factor is None else [value * factor for value in values]
            sums = [total + product for total, product in zip(sums, products, strict=True)]
        return [float(value / number(expr.total)) for value in sums]

    def interpret_clip_expr(self, expr: nodes.ClipExpr, **_: Any) -> float:
        """Keep a value between two others."""
        return min(max(float(self._do_interpret(expr.expr)), expr.lowest), expr.highest)

    def interpret_affine_expr(self, expr: nodes.AffineExpr, **_: Any) -> float:
        """Multiply, then add."""
        return expr.factor * float(self._do_interpret(expr.expr)) + expr.shift

    def interpret_interpolation_expr(self, expr: nodes.InterpolationExpr, **_: Any) -> float:
        """Find the two points around a value and follow the line between them."""
        number = np.float32 if expr.single else np.float64
        points, heights, slopes = (array.astype(number) for array in (expr.points, expr.heights, expr.slopes))
        value = min(max(number(self._do_interpret(expr.expr)), points[0]), points[-1])
        last = len(points) - 1
        place = 0
        while place < last - 1 and points[place + 1] < value:
            place += 1
        if last == 0:
            return float(heights[0])
        if value == points[place + 1] and not expr.single:
            return float(heights[place + 1])
        return float(slopes[place] * (value - points[place]) + heights[place])

    def interpret_log_expr(self, expr: ast.LogExpr, **_: Any) -> float:
        """Return the natural logarithm."""
        return math.log(self._do_interpret(expr.expr))

    def interpret_sigmoid_expr(self, expr: ast.SigmoidExpr, **_: Any) -> float:
        """Return 1 / (1 + exp(-x))."""
        return _logistic(self._do_interpret(expr.expr))

    def interpret_exp_expr(self, expr: ast.ExpExpr, **_: Any) -> float:
        """Return exp(x)."""
        value = self._do_interpret(expr.expr)
        return math.inf if value > 709.782712893384 else math.exp(value)

    def interpret_bin_num_expr(self, expr: ast.BinNumExpr, **_: Any) -> float:
        """Return the sum, difference, product or quotient."""
        return float(_OPERATIONS[expr.op](self._do_interpret(expr.left), self._do_interpret(expr.right)))

    def interpret_num_val(self, expr: ast.NumVal, **_: Any) -> float:
        """Return the number."""
        return float(expr.value)

    def interpret_vector_val(self, expr: ast.VectorVal, **_: Any) -> list[float]:
        """Return the scalars."""
        return [self._do_interpret(item) for item in expr.exprs]


def _logistic(value: float) -> float:
    return 0.0 if value < -709.782712893384 else 1 / (1 + math.exp(-value))


_ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "identity": float,
    "logistic": _logistic,
    "relu": lambda value: max(value, 0.0),
    "tanh": math.tanh,
}

# The C library's expf, which rounds to float32 once, in the end, and not always to the nearest: the exponent in units
# of 1/32 of a doubling is split into a whole number and a remainder, of which a cubic polynomial is taken.
_THIRTY_SECONDS = float.fromhex("0x1.71547652b82fep+5")
_ROOTS = [float(Decimal(2) ** (Decimal(step) / 32)) for step in range(32)]
_CUBIC = [float.fromhex(text) for text in ("0x1.c6af84b912394p-20", "0x1.ebfce50fac4f3p-13", "0x1.62e42ff0c52d6p-6")]
_EXPONENT_RANGE = float.fromhex("-0x1.9fe368p+6"), float.fromhex("0x1.62e42ep+6")


def exponential_single(exponent: np.float32) -> np.float32:
    """Return the float32 exponential, bit by bit as the C library's, on processors that multiply and add at once."""
    value = float(exponent)
    if not _EXPONENT_RANGE[0] <= value <= _EXPONENT_RANGE[1]:
        return np.float32(0.0 if value < 0 else math.inf)
    whole = round(_THIRTY_SECONDS * value)
    remainder = float(Fraction(_THIRTY_SECONDS) * Fraction(value) - whole)
    polynomial = ((_CUBIC[0] * remainder + _CUBIC[1]) * remainder + _CUBIC[2]) * remainder + 1
    with np.errstate(under="ignore"):
        return np.float32(polynomial * math.ldexp(_ROOTS[whole % 32], whole // 32))


def leaf_of(tree: nodes.Tree, values: Sequence[float | None]) -> int:
    """Return the number of the leaf that a row of columns reaches."""
    node = 0 if tree.splits else -1
    while node >= 0:
        value = values[tree.feature[node]]
        if value is None:
            left = bool(tree.missing_left[node])
        elif node in tree.breakpoints:
            left = _below(tree.breakpoints[node], value) % 2 == 0
        else:
            left = bool(value <= tree.threshold[node])
        node = int(tree.left[node] if left else tree.right[node])
    return -1 - node


def _below(points: nodes.Floats, value: float) -> int:
    count = 0
    for point in points.tolist():
        count += point < value
    return count


def _pairwise_sum(values: Sequence[float]) -> float:
    """Add up as numpy does: in order, or eight partial sums side by side, or halves of more than 128 values."""
    size = len(values)
    if size > 128:
        half = size // 2 - size // 2 % 8
        return _pairwise_sum(values[:half]) + _pairwise_sum(values[half:])
    total = 0.0
    start = 0
    if size >= 8:
        start = size - size % 8
        partial = list(values[:8])
        for index in range(8, start):
            partial[index % 8] = partial[index % 8] + values[index]
        a, b, c, d, e, f, g, h = partial
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for value in values[start:]:
        total = total + value
    return total
