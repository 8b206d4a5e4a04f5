"""Folds the transformers in front of trees into the trees' splits, so that they cost nothing per row.

An imputer, a scaler, an encoder makes each of its columns from one feature. A test of such a column is therefore
a test of that feature: of another threshold where the column grows with the feature, of a set of intervals where it
is a step function. The other threshold is found by bisection over the doubles with the library's own arithmetic, so
the decision is the same for every double, not merely close. What the transformers would refuse becomes a range of
accepted values per feature.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.nodes import Floats, Integers

LARGEST = float(np.finfo(np.float64).max)

Elementwise = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Column:
    """One column of a vector as a function of one feature.

    ``apply`` works elementwise on present values; NaN in its result means missing. It does not decrease, unless
    ``steps`` holds the breakpoints between which it is constant. ``at_missing`` is its value where the feature is
    missing, NaN for missing. The rest says which values of the feature are accepted: those from ``lowest`` to
    ``highest`` and, where ``known`` is given, with an odd number of its breakpoints below them.
    """

    feature: int
    apply: Elementwise
    at_missing: float = np.nan
    steps: Floats | None = None
    lowest: float = -np.inf
    highest: float = np.inf
    missing_accepted: bool = True
    known: Floats | None = None


def fold(expr: ast.Expr) -> ast.Expr:
    """Return an equal AST whose trees read the features themselves."""
    return nodes.rewrite(expr, lambda node: _fold_trees(node) if isinstance(node, nodes.TreeExpr) else node)


def _fold_trees(expr: nodes.TreeExpr) -> nodes.TreeExpr:
    base = _base(expr.source)
    if expr.source is base:
        return expr
    columns = columns_of(expr.source)
    guard = _guard(base, expr.source)
    smooth = _smooth_thresholds(expr.trees, columns)
    trees = [_fold_tree(tree, columns, smooth) for tree in expr.trees]
    if isinstance(expr, nodes.AveragedTreesExpr):
        return nodes.AveragedTreesExpr(guard, trees)
    assert isinstance(expr, nodes.BoostedTreesExpr)  # noqa: S101  there are two kinds of sums of trees
    size = len(trees) // expr.output_size
    groups = [trees[start : start + size] for start in range(0, len(trees), max(size, 1))] or expr.groups
    return nodes.BoostedTreesExpr(guard, groups, expr.base, single=expr.single, divisor=expr.divisor)


def _base(node: nodes.VectorNode) -> nodes.VectorNode:
    """Return the features, from which the columns are made."""
    if isinstance(node, nodes.FeatureVector):
        return node
    bases = {id(base): base for base in (_base(child) for child in _sources(node))}
    if len(bases) != 1:
        raise AssertionError("the columns of a model come from different vectors of features")
    return next(iter(bases.values()))


def _sources(node: nodes.VectorNode) -> list[nodes.VectorNode]:
    return [child for child in nodes.children(node) if isinstance(child, nodes.VectorNode)]


# Columns as functions of features


@singledispatch
def columns_of(node: nodes.VectorNode) -> list[Column]:
    """Return the columns of a vector, each as a function of one feature."""
    raise AssertionError(f"{type(node).__name__} cannot be folded")


@columns_of.register
def _features(node: nodes.FeatureVector) -> list[Column]:
    return [Column(feature, _identity) for feature in range(node.output_size)]


@columns_of.register
def _checked(node: nodes.CheckedVector) -> list[Column]:
    limit = np.nextafter(node.limit, 0)
    size = node.output_size
    missing = np.full(size, node.allow_missing)
    return _accept(columns_of(node.source), np.full(size, -limit), np.full(size, limit), missing)


@columns_of.register
def _guarded(node: nodes.GuardedVector) -> list[Column]:
    columns = _accept(columns_of(node.source), node.lowest, node.highest, node.missing_allowed)
    for place, known in node.known.items():
        columns[place] = replace(columns[place], known=_side_steps(columns[place], known, wanted=1))
    return columns


@columns_of.register
def _select(node: nodes.SelectVector) -> list[Column]:
    columns = columns_of(node.source)
    return [columns[index] for index in node.indices]


@columns_of.register
def _concat(node: nodes.ConcatVector) -> list[Column]:
    return [column for part in node.parts for column in columns_of(part)]


@columns_of.register
def _impute(node: nodes.ImputeVector) -> list[Column]:
    def column(inner: Column, fill: float) -> Column:
        missing = fill if np.isnan(inner.at_missing) else inner.at_missing
        return replace(_then(inner, lambda values: np.where(np.isnan(values), fill, values)), at_missing=missing)

    return [column(inner, float(fill)) for inner, fill in zip(columns_of(node.source), node.fill, strict=True)]


@columns_of.register
def _indicator(node: nodes.MissingIndicatorVector) -> list[Column]:
    def column(inner: Column) -> Column:
        steps = np.array([]) if inner.steps is None else inner.steps
        missing = float(np.isnan(inner.at_missing))
        return replace(_then(inner, lambda values: np.isnan(values) * 1.0), steps=steps, at_missing=missing)

    return [column(inner) for inner in columns_of(node.source)]


@columns_of.register
def _standardize(node: nodes.StandardizeVector) -> list[Column]:
    def column(inner: Column, place: int) -> Column:
        def outer(values: Floats) -> Floats:
            if node.means is not None:
                values = values - node.means[place]
            return values if node.scales is None else values / node.scales[place]

        return _then(inner, outer)

    return [column(inner, place) for place, inner in enumerate(columns_of(node.source))]


@columns_of.register
def _scale(node: nodes.ScaleVector) -> list[Column]:
    def column(inner: Column, place: int) -> Column:
        def outer(values: Floats) -> Floats:
            values = values * node.scales[place] + node.shifts[place]
            return values if node.bounds is None else np.clip(values, *node.bounds)

        return _then(inner, outer)

    return [column(inner, place) for place, inner in enumerate(columns_of(node.source))]


@columns_of.register
def _step(node: nodes.StepVector) -> list[Column]:
    def column(inner: Column, place: int) -> Column:
        points, values, missing = node.breakpoints[place], node.values[place], node.at_missing[place]

        def outer(given: Floats) -> Floats:
            return np.where(np.isnan(given), missing, values[np.searchsorted(points, given, side="left")])

        steps = _pull_back(inner, points) if inner.steps is None else inner.steps
        return replace(_then(inner, outer), steps=steps)

    return [column(inner, place) for place, inner in enumerate(columns_of(node.source))]


def _identity(values: Floats) -> Floats:
    return values


def _then(inner: Column, outer: Elementwise) -> Column:
    """Return ``inner`` followed by ``outer``."""

    def apply(values: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return outer(inner.apply(values))

    with np.errstate(all="ignore"):
        missing = float(outer(np.array([inner.at_missing]))[0])
    return replace(inner, apply=apply, at_missing=missing)


# What is accepted


def _accept(
    columns: list[Column], lowest: Floats, highest: Floats, missing_allowed: np.typing.NDArray[np.bool_]
) -> list[Column]:
    """Return ``columns`` where values outside a range, and missing ones without leave, are refused as well."""
    return [
        _accept_one(column, float(lowest[place]), float(highest[place]), bool(missing_allowed[place]))
        for place, column in enumerate(columns)
    ]


def _accept_one(column: Column, lowest: float, highest: float, missing_allowed: bool) -> Column:
    at_missing = column.at_missing
    missing_fine = missing_allowed if np.isnan(at_missing) else lowest <= at_missing <= highest
    column = replace(column, missing_accepted=column.missing_accepted and missing_fine)
    if column.steps is not None:
        # Steps that the compiler makes are finite numbers; only a missing one among them can be refused.
        values = column.apply(_samples(column.steps))
        refused = np.isnan(values) & (not missing_allowed)
        if not refused.any():
            return column
        return replace(column, known=_alternations(column.steps, ~refused, wanted=True))
    above, first = np.inf, -np.inf
    if highest < np.inf:
        above = min(LARGEST, float(_last_at_most(column, np.array([highest]))[0]))
    if lowest > -np.inf:
        with np.errstate(over="ignore"):
            below = _last_at_most(column, np.nextafter([lowest], -np.inf))
            first = float(np.nextafter(below, np.inf)[0])
    return replace(column, lowest=max(column.lowest, first), highest=min(column.highest, above))


def _guard(base: nodes.VectorNode, source: nodes.VectorNode) -> nodes.VectorNode:
    """Return ``base`` behind all that is refused on the way to ``source``, be it in a column that is left out."""
    checks = [node for node in nodes.walk(source) if isinstance(node, nodes.CheckedVector | nodes.GuardedVector)]
    columns = [column for node in checks for column in columns_of(node)]
    lowest = np.full(base.output_size, -np.inf)
    highest = np.full(base.output_size, np.inf)
    missing = np.ones(base.output_size, dtype=bool)
    known: dict[int, Floats] = {}
    for column in columns:
        place = column.feature
        lowest[place] = max(lowest[place], column.lowest)
        highest[place] = min(highest[place], column.highest)
        missing[place] &= column.missing_accepted
        if column.known is not None:
            if place in known and not np.array_equal(known[place], column.known):
                raise UnsupportedModelError(
                    f"Two encoders of feature {place + 1} refuse different categories; give both the same."
                )
            known[place] = column.known
    nothing = np.isinf(lowest).all() and np.isinf(highest).all() and missing.all() and not known
    return base if nothing else nodes.GuardedVector(base, lowest, highest, missing, known)


# Splits


def _smooth_thresholds(trees: Sequence[nodes.Tree], columns: list[Column]) -> dict[int, tuple[Floats, Floats]]:
    """Return, per column without steps, its thresholds in order and the feature's: one bisection finds all of them."""
    gathered: dict[int, list[Floats]] = {}
    for tree in trees:
        for place in np.unique(tree.feature).tolist():
            if columns[place].steps is None:
                gathered.setdefault(place, []).append(tree.threshold[tree.feature == place])
    ordered = {place: np.unique(np.concatenate(parts)) for place, parts in gathered.items()}
    return {place: (limits, _last_at_most(columns[place], limits)) for place, limits in ordered.items()}


def _fold_tree(
    tree: nodes.Tree, columns: list[Column], smooth_thresholds: dict[int, tuple[Floats, Floats]]
) -> nodes.Tree:
    feature = np.array([columns[place].feature for place in tree.feature], dtype=np.int64)
    threshold, left, right = tree.threshold.copy(), tree.left.copy(), tree.right.copy()
    missing_left = tree.missing_left.copy()
    breakpoints: dict[int, Floats] = {}
    smooth: dict[int, list[int]] = {}
    for split, place in enumerate(tree.feature.tolist()):
        column = columns[place]
        if split not in tree.breakpoints and column.steps is None:
            smooth.setdefault(place, []).append(split)
        else:
            points = tree.breakpoints.get(split, tree.threshold[split : split + 1])
            folded = _fold_split(column, points, bool(tree.missing_left[split]))
            if folded.swap:
                left[split], right[split] = right[split], left[split]
            missing_left[split] = folded.missing_left
            threshold[split] = folded.points[0]
            if len(folded.points) > 1:
                breakpoints[split] = folded.points
    for place, splits in smooth.items():
        column = columns[place]
        limits, folded_limits = smooth_thresholds[place]
        threshold[splits] = folded_limits[np.searchsorted(limits, tree.threshold[splits])]
        if not np.isnan(column.at_missing):
            missing_left[splits] = column.at_missing <= tree.threshold[splits]
    return replace(
        tree,
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        missing_left=missing_left,
        breakpoints=breakpoints,
    )


@dataclass(frozen=True)
class _Split:
    points: Floats
    swap: bool
    missing_left: bool


def _fold_split(column: Column, points: Floats, missing_left: bool) -> _Split:
    """Return the split of the feature that decides as a split of its column does."""

    def goes_left(values: Floats) -> np.typing.NDArray[np.bool_]:
        below = np.searchsorted(points, values, side="left")
        return np.where(np.isnan(values), missing_left, below % 2 == 0)

    steps = column.steps if column.steps is not None else _pull_back(column, points)
    sides = goes_left(column.apply(_samples(steps)))
    missing = bool(goes_left(np.array([column.at_missing]))[0])
    swap = not sides[0]
    changes = steps[np.flatnonzero(sides[1:] != sides[:-1])]
    # One side for every value: the threshold says so.
    return _Split(changes if len(changes) else np.array([np.inf]), swap, missing != swap)


def _side_steps(column: Column, points: Floats, wanted: int) -> Floats:
    """Return breakpoints of the feature with an odd number below where ``points`` has ``wanted`` below, mod 2."""
    steps = column.steps if column.steps is not None else _pull_back(column, points)
    values = column.apply(_samples(steps))
    inside = np.searchsorted(points, values, side="left") % 2 == wanted
    return _alternations(steps, inside, wanted=True)


def _alternations(steps: Floats, inside: np.typing.NDArray[np.bool_], wanted: bool) -> Floats:
    """Return the breakpoints at which ``inside`` changes, starting from outside."""
    padded = np.concatenate([[not wanted], inside])
    points = np.concatenate([[-np.inf], steps])
    return points[np.flatnonzero(padded[1:] != padded[:-1])]


def _samples(steps: Floats) -> Floats:
    """Return one value of each interval between breakpoints: the last of each, and one above all."""
    with np.errstate(over="ignore"):
        above = np.nextafter(steps[-1:], np.inf) if len(steps) else np.zeros(1)
    return np.concatenate([steps, above])


def _pull_back(column: Column, points: Floats) -> Floats:
    """Return the breakpoints of the feature for breakpoints of a column that does not decrease."""
    return np.unique(_last_at_most(column, points))


def _last_at_most(column: Column, limits: Floats) -> Floats:
    """Return, per limit, the largest double at which the column is at most the limit.

    Minus infinity where there is none, infinity where every double is. The column does not decrease.
    """
    limits = np.asarray(limits, dtype=np.float64)
    if column.apply is _identity:
        return limits
    low = np.full(len(limits), _ordinal(np.array([-LARGEST]))[0] - 1)
    high = np.full(len(limits), _ordinal(np.array([LARGEST]))[0] + 1)
    # Invariant: the column is at most the limit at ``low`` and above it at ``high``; both ends are notional.
    while (active := low + 1 < high).any():
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        fits = column.apply(_double(middle)) <= limits
        low = np.where(active & fits, middle, low)
        high = np.where(active & ~fits, middle, high)
    values = _double(np.clip(low, *_ordinal(np.array([-LARGEST, LARGEST]))))
    none = low < _ordinal(np.array([-LARGEST]))[0]
    every = low >= _ordinal(np.array([LARGEST]))[0]
    result: Floats = np.where(none, -np.inf, np.where(every, np.inf, values))
    return result


def largest_vanishing_factor(factors: Floats) -> Floats:
    """Return, per positive factor, the largest double whose product with it rounds to zero."""
    return _last_at_most(Column(0, lambda values: values * factors), np.zeros(len(factors)))


def _ordinal(values: Floats) -> Integers:
    """Return the place of finite doubles in their order, zero at 0."""
    bits = np.asarray(values, dtype=np.float64).view(np.int64)
    result: Integers = np.where(bits < 0, np.int64(-(2**63)) - bits, bits)
    return result


def _double(ordinals: Integers) -> Floats:
    """Undo `_ordinal`."""
    bits = np.where(ordinals < 0, np.int64(-(2**63)) - ordinals, ordinals)
    return bits.astype(np.int64).view(np.float64)
