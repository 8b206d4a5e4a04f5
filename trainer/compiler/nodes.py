"""AST nodes that m2cgen lacks: vectors of features, sums of trees, probabilities.

The nodes say what is computed, in which order, and nothing about how it is written. A tree is a table of its
splits instead of nested `IfExpr`: nothing recurses, so neither the depth of a tree nor the number of trees is
bounded by Python's stack, and nothing is hashed, so compile time stays linear in size.

Indices count from 0. ``None`` stands for a missing value; NaN never reaches a node.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from m2cgen import ast
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SMALLEST_MAGNITUDE = 5e-324


def children(expr: ast.Expr) -> list[ast.Expr]:
    """Return the nodes directly below ``expr``."""
    single = [getattr(expr, name, None) for name in ("source", "expr", "left", "right")]
    several = [child for name in ("parts", "exprs") for child in getattr(expr, name, ())]
    return [child for child in single if isinstance(child, ast.Expr)] + several


def walk(expr: ast.Expr) -> Iterator[ast.Expr]:
    """Yield ``expr`` and every node below it, each once."""
    seen: set[int] = set()
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(children(node))


def rewrite(expr: ast.Expr, replace: Callable[[ast.Expr], ast.Expr]) -> ast.Expr:
    """Return ``expr`` with every node replaced, from the leaves up; a node that two others share stays shared.

    Nothing changes in place. Vectors of features are passed on as they are.
    """
    done: dict[int, ast.Expr] = {}

    def visit(node: ast.Expr) -> ast.Expr:
        if isinstance(node, VectorNode):
            return node
        if id(node) not in done:
            changed = copy.copy(node)
            for name in ("source", "expr", "left", "right"):
                if isinstance(getattr(node, name, None), ast.Expr):
                    setattr(changed, name, visit(getattr(node, name)))
            if hasattr(node, "exprs"):
                changed.exprs = [visit(child) for child in node.exprs]
            done[id(node)] = replace(changed)
        return done[id(node)]

    return visit(expr)


class VectorNode(ast.VectorExpr):  # type: ignore[misc]
    """A vector of ``output_size`` columns.

    ``may_be_missing`` says whether a column can be a missing value, ``is_finite`` whether infinity is ruled
    out. ``smallest_magnitude`` is, per column, a lower bound of the absolute value of what is not zero:
    PostgreSQL raises an error where a product or a quotient underflows to zero, so the emitter has to know
    where that can happen.
    """

    output_size: int
    may_be_missing: bool = True
    is_finite: bool = False
    smallest_magnitude: Floats


class FeatureVector(VectorNode):
    """The function's argument: the first ``size`` features."""

    def __init__(self, size: int) -> None:
        self.output_size = size
        self.smallest_magnitude = np.full(size, SMALLEST_MAGNITUDE)


class CheckedVector(VectorNode):
    """``source``, or an error where a value is missing without leave or reaches ``limit`` in magnitude."""

    def __init__(self, source: VectorNode, allow_missing: bool, limit: float) -> None:
        self.source = source
        self.allow_missing = allow_missing
        self.limit = limit
        self.output_size = source.output_size
        self.may_be_missing = allow_missing and source.may_be_missing
        self.is_finite = True
        self.smallest_magnitude = source.smallest_magnitude


class GuardedVector(VectorNode):
    """``source``, or an error where column k lies outside ``lowest[k]`` to ``highest[k]``, both included.

    A missing value is an error where ``missing_allowed[k]`` is false. Where ``known`` has an entry for a column, a
    value is also refused when an even number of its breakpoints lie below it.
    """

    def __init__(
        self,
        source: VectorNode,
        lowest: Floats,
        highest: Floats,
        missing_allowed: NDArray[np.bool_],
        known: Mapping[int, Floats] | None = None,
    ) -> None:
        self.source = source
        self.lowest = np.asarray(lowest, dtype=np.float64)
        self.highest = np.asarray(highest, dtype=np.float64)
        self.missing_allowed = np.asarray(missing_allowed, dtype=bool)
        self.known = dict(known or {})
        self.output_size = source.output_size
        self.may_be_missing = source.may_be_missing and bool(self.missing_allowed.any())
        self.is_finite = bool(np.isfinite(self.lowest).all() and np.isfinite(self.highest).all())
        self.smallest_magnitude = source.smallest_magnitude


class SelectVector(VectorNode):
    """The columns of ``source`` at ``indices``, in that order."""

    def __init__(self, source: VectorNode, indices: Sequence[int]) -> None:
        self.source = source
        self.indices = [int(index) for index in indices]
        self.output_size = len(self.indices)
        self.may_be_missing = source.may_be_missing
        self.is_finite = source.is_finite
        self.smallest_magnitude = source.smallest_magnitude[self.indices]


class ImputeVector(VectorNode):
    """``source`` with missing values replaced by ``fill``, column by column."""

    may_be_missing = False

    def __init__(self, source: VectorNode, fill: Floats) -> None:
        self.source = source
        self.fill = np.asarray(fill, dtype=np.float64)
        self.output_size = source.output_size
        self.is_finite = source.is_finite and bool(np.isfinite(self.fill).all())
        self.smallest_magnitude = np.full(self.output_size, SMALLEST_MAGNITUDE)


class MissingIndicatorVector(VectorNode):
    """1 where ``source`` is missing, 0 elsewhere."""

    may_be_missing = False
    is_finite = True

    def __init__(self, source: VectorNode) -> None:
        self.source = source
        self.output_size = source.output_size
        self.smallest_magnitude = np.ones(self.output_size)


class StandardizeVector(VectorNode):
    """``(source - means) / scales``, column by column; either may be None, and its step is left out."""

    def __init__(self, source: VectorNode, means: Floats | None, scales: Floats | None) -> None:
        self.source = source
        self.means = means
        self.scales = scales
        self.output_size = source.output_size
        self.may_be_missing = source.may_be_missing
        self.is_finite = source.is_finite
        magnitude = source.smallest_magnitude
        if means is not None:
            # Two doubles differ by at least half the spacing at either of them, or not at all.
            distance = np.maximum(np.spacing(np.abs(means)) / 2, SMALLEST_MAGNITUDE)
            magnitude = np.where(means == 0, magnitude, distance)
        self.centred_magnitude = magnitude
        if scales is not None:
            magnitude = np.maximum(magnitude / scales, SMALLEST_MAGNITUDE)
        self.smallest_magnitude = magnitude


class ScaleVector(VectorNode):
    """``source * scales + shifts``, column by column, then clipped to ``bounds`` where there are any."""

    def __init__(
        self, source: VectorNode, scales: Floats, shifts: Floats, bounds: tuple[float, float] | None = None
    ) -> None:
        self.source = source
        self.scales = np.asarray(scales, dtype=np.float64)
        self.shifts = np.asarray(shifts, dtype=np.float64)
        self.bounds = bounds
        self.output_size = source.output_size
        self.may_be_missing = source.may_be_missing
        self.is_finite = source.is_finite
        self.smallest_magnitude = np.full(self.output_size, SMALLEST_MAGNITUDE)


class StepVector(VectorNode):
    """Column k is constant between breakpoints: with n of ``breakpoints[k]`` below the value, it is ``values[k][n]``.

    ``at_missing[k]`` takes the place of a missing value. NaN among ``values`` and ``at_missing`` means missing. A
    category c is the interval between the number before c and c: encoders are step functions.
    """

    is_finite = True

    def __init__(
        self, source: VectorNode, breakpoints: Sequence[Floats], values: Sequence[Floats], at_missing: Floats
    ) -> None:
        self.source = source
        self.breakpoints = [np.asarray(points, dtype=np.float64) for points in breakpoints]
        self.values = [np.asarray(steps, dtype=np.float64) for steps in values]
        self.at_missing = np.asarray(at_missing, dtype=np.float64)
        self.output_size = source.output_size
        stays_missing = source.may_be_missing and bool(np.isnan(self.at_missing).any())
        self.may_be_missing = stays_missing or any(bool(np.isnan(steps).any()) for steps in self.values)
        self.smallest_magnitude = np.array([_smallest(steps) for steps in self.values])


def _smallest(values: Floats) -> float:
    magnitudes = np.abs(values[(values != 0) & ~np.isnan(values)])
    return float(magnitudes.min(initial=1.0))


class ConcatVector(VectorNode):
    """The columns of all ``parts``, one part after the other."""

    def __init__(self, parts: Sequence[VectorNode]) -> None:
        self.parts = list(parts)
        self.output_size = sum(part.output_size for part in parts)
        self.may_be_missing = any(part.may_be_missing for part in parts)
        self.is_finite = all(part.is_finite for part in parts)
        self.smallest_magnitude = np.concatenate([part.smallest_magnitude for part in parts])


class LinearExpr(ast.Expr):  # type: ignore[misc]
    """``intercepts[k] + source[0] * coefficients[k, 0] + source[1] * ...`` for every k, summed left to right.

    ``coefficients`` has shape (outputs, columns), ``intercepts`` shape (outputs,).
    """

    def __init__(self, source: VectorNode, coefficients: Floats, intercepts: Floats) -> None:
        self.source = source
        self.coefficients = np.asarray(coefficients, dtype=np.float64)
        self.intercepts = np.asarray(intercepts, dtype=np.float64)
        self.output_size = len(self.intercepts)


@dataclass(frozen=True)
class Tree:
    """One decision tree as a table of its splits; row 0 is the root.

    ``feature``, ``threshold``, ``left``, ``right`` and ``missing_left`` have one entry per split: a column
    that is at most the threshold goes left, a missing one goes left where ``missing_left`` says so. A child
    >= 0 is a split, a child < 0 is leaf number ``-1 - child``. ``leaves`` has shape (leaves, outputs). A tree
    without a split is its leaf 0. ``depth`` is the number of splits on the longest path.

    A split on a set of values has an entry in ``breakpoints``, sorted, and its threshold is the first of them: a
    value goes left when an even number of breakpoints lie below it. An ordinary split is the case of one breakpoint.

    ``split_cover`` and ``leaf_cover`` say how much of the training data came by; explanations need them.
    """

    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    missing_left: NDArray[np.bool_]
    leaves: Floats
    depth: int
    breakpoints: Mapping[int, Floats] = field(default_factory=dict)
    split_cover: Floats | None = None
    leaf_cover: Floats | None = None

    @property
    def splits(self) -> int:
        """The number of splits."""
        return len(self.feature)


class TreeExpr(ast.CtrlExpr):  # type: ignore[misc]
    """What sums of trees have in common: the columns that the trees read, and the trees."""

    def __init__(self, source: VectorNode, trees: list[Tree]) -> None:
        self.source = source
        self.trees = trees


class BoostedTreesExpr(TreeExpr):
    """For every output k: ``base[k]`` plus the leaves of the trees in ``groups[k]``, added in order.

    All groups hold the same number of trees; a leaf holds one value. With ``single``, base, leaves and sums are
    float32 and the result is one as well. With a ``divisor``, the sum is divided by it.
    """

    def __init__(
        self,
        source: VectorNode,
        groups: Sequence[Sequence[Tree]],
        base: Floats,
        *,
        single: bool = False,
        divisor: float | None = None,
    ) -> None:
        super().__init__(source, [tree for group in groups for tree in group])
        self.groups = [list(group) for group in groups]
        self.base = np.asarray(base, dtype=np.float64)
        self.single = single
        self.divisor = divisor
        self.output_size = len(self.groups)


class AveragedTreesExpr(TreeExpr):
    """Zero plus the leaf vectors of all trees, added in order, then divided by the number of trees."""

    def __init__(self, source: VectorNode, trees: Sequence[Tree]) -> None:
        super().__init__(source, list(trees))
        self.output_size = self.trees[0].leaves.shape[1]


class DenseExpr(ast.VectorExpr):  # type: ignore[misc]
    """One layer of a neural network: ``activation(source @ weights + intercepts)``, unit by unit.

    ``source`` is a vector of features or another layer, ``weights`` has shape (inputs, units). ``activation`` is
    ``identity``, ``logistic``, ``relu`` or ``tanh``.
    """

    def __init__(self, source: ast.Expr, weights: Floats, intercepts: Floats, activation: str) -> None:
        self.source = source
        self.weights = np.asarray(weights, dtype=np.float64)
        self.intercepts = np.asarray(intercepts, dtype=np.float64)
        self.activation = activation
        self.output_size = len(self.intercepts)


class GivenScores(ast.VectorExpr):  # type: ignore[misc]
    """``output_size`` scores from number ``first`` on, which are given to the function instead of features."""

    def __init__(self, first: int, output_size: int) -> None:
        self.first = first
        self.output_size = output_size


class ElementExpr(ast.NumExpr):  # type: ignore[misc]
    """Element ``index`` of a vector; the vector is evaluated once, however many of its elements are used."""

    def __init__(self, source: ast.Expr, index: int) -> None:
        self.source = source
        self.index = index


class SignedSquareExpr(ast.NumExpr):  # type: ignore[misc]
    """The square of a score with the sign of the score."""

    def __init__(self, expr: ast.Expr) -> None:
        self.expr = expr


class SoftmaxVector(ast.VectorExpr):  # type: ignore[misc]
    """The softmax of a vector of scores: subtract the largest, then divide the exponentials by their sum."""

    def __init__(self, source: ast.Expr) -> None:
        self.source = source
        self.output_size = source.output_size


class SigmoidSingleExpr(ast.NumExpr):  # type: ignore[misc]
    """``1 / (1 + exp(-expr))`` of a float32, rounded to float32 at every step; the exponent is cut at 88.7."""

    def __init__(self, expr: ast.Expr) -> None:
        self.expr = expr


class ExponentialSingleExpr(ast.NumExpr):  # type: ignore[misc]
    """The exponential of a float32 as the C library's ``expf`` gives it: zero and infinity out of range."""

    def __init__(self, expr: ast.Expr) -> None:
        self.expr = expr


class PositiveExpr(ast.NumExpr):  # type: ignore[misc]
    """1 where ``expr`` is greater than zero, else 0."""

    def __init__(self, expr: ast.Expr) -> None:
        self.expr = expr


class ComplementSingleVector(ast.VectorExpr):  # type: ignore[misc]
    """``[1 - expr, expr]`` in float32."""

    output_size = 2

    def __init__(self, expr: ast.Expr) -> None:
        self.expr = expr


class SoftmaxSingleVector(ast.VectorExpr):  # type: ignore[misc]
    """The softmax of float32 scores: float32 exponentials and quotients, their sum in double precision."""

    def __init__(self, source: ast.Expr) -> None:
        self.source = source
        self.output_size = source.output_size


class ClipExpr(ast.NumExpr):  # type: ignore[misc]
    """``expr``, or the nearer of ``lowest`` and ``highest`` where it lies beyond."""

    def __init__(self, expr: ast.Expr, lowest: float, highest: float) -> None:
        self.expr = expr
        self.lowest = float(lowest)
        self.highest = float(highest)


class AffineExpr(ast.NumExpr):  # type: ignore[misc]
    """``factor * expr + shift``."""

    def __init__(self, expr: ast.Expr, factor: float, shift: float = 0.0) -> None:
        self.expr = expr
        self.factor = float(factor)
        self.shift = float(shift)


class InterpolationExpr(ast.NumExpr):  # type: ignore[misc]
    """The broken line through ``points`` (increasing) and ``heights``, level beyond its ends.

    Between two points it is ``slope * (expr - point) + height`` with the left one's numbers; at a point, its height.
    With ``single``, numbers and operations are float32, and at a point the line from its left is taken to its end.
    """

    def __init__(self, expr: ast.Expr, points: Floats, heights: Floats, *, single: bool = False) -> None:
        self.expr = expr
        self.points = np.asarray(points, dtype=np.float64)
        self.heights = np.asarray(heights, dtype=np.float64)
        self.single = single
        number = np.float32 if single else np.float64
        with np.errstate(all="ignore"):
            slopes = np.diff(self.heights.astype(number)) / np.diff(self.points.astype(number))
        self.slopes = slopes.astype(np.float64)


class NormalizedVector(ast.VectorExpr):  # type: ignore[misc]
    """A vector of values >= 0 divided by their sum; all the same where the sum is zero.

    The sum is numpy's: in order below eight values, pairwise from there on.
    """

    def __init__(self, source: ast.Expr) -> None:
        self.source = source
        self.output_size = source.output_size


class MeanVector(ast.VectorExpr):  # type: ignore[misc]
    """The elementwise mean of vectors of one size, added in order from zero."""

    def __init__(self, exprs: Sequence[ast.Expr]) -> None:
        self.exprs = list(exprs)
        self.output_size = self.exprs[0].output_size


class AverageVector(ast.VectorExpr):  # type: ignore[misc]
    """The elementwise sum of vectors of one size, each times its weight, divided by ``total``; added in order.

    Without ``weights`` nothing is multiplied. With ``single``, sums and quotients are float32.
    """

    def __init__(
        self, exprs: Sequence[ast.Expr], weights: Sequence[float] | None, total: float, *, single: bool = False
    ) -> None:
        self.exprs = list(exprs)
        self.weights = None if weights is None else [float(weight) for weight in weights]
        self.total = float(total)
        self.single = single
        self.output_size = self.exprs[0].output_size


def is_single(expr: ast.Expr) -> bool:
    """Say whether ``expr``, which a model returns, is made of float32 numbers."""
    if isinstance(expr, BoostedTreesExpr | AverageVector):
        return expr.single
    if isinstance(expr, ElementExpr):
        return is_single(expr.source)
    if isinstance(expr, ast.VectorVal):
        return all(is_single(element) for element in expr.exprs)
    single = SigmoidSingleExpr | ExponentialSingleExpr | PositiveExpr | ComplementSingleVector | SoftmaxSingleVector
    return isinstance(expr, single)


def elements(expr: ast.Expr) -> list[ast.Expr]:
    """Return the elements of a vector, each as a scalar; a scalar is its only element."""
    if expr.output_size == 1 and not isinstance(expr, ast.VectorExpr):
        return [expr]
    if isinstance(expr, ast.VectorVal):
        return list(expr.exprs)
    return [ElementExpr(expr, index) for index in range(expr.output_size)]
