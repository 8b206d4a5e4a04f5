"""scikit-learn's trees, forests and gradient boosting: float32 features, float64 thresholds and leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler, binary_probabilities
from trainer.compiler.errors import UnsupportedModelError

# The smallest number that float32 rounds to infinity; the library refuses it and everything above.
FLOAT32_LIMIT = 3.4028235677973366e38
FLOAT32_LARGEST = 3.4028234663852886e38
SMALLEST_LEAF = 1e-290


def fold_float32(thresholds: nodes.Floats) -> nodes.Floats:
    """Return thresholds ``t'`` such that ``x <= t'`` holds exactly where ``float32(x) <= t`` does.

    The library rounds features to float32 before it compares them. PostgreSQL's cast to real raises errors
    out of range and costs time per row, so the rounding is moved into the threshold: it becomes the largest
    double that still rounds to the largest float32 at or below ``t``. Holds for every ``x`` below
    `FLOAT32_LIMIT`.
    """
    thresholds = np.asarray(thresholds, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        rounded = thresholds.astype(np.float32)
        lower = np.nextafter(rounded, np.float32(-np.inf))
        below = np.where(rounded.astype(np.float64) > thresholds, lower, rounded)
        above = np.nextafter(below, np.float32(np.inf)).astype(np.float64)
        # Exact: both are float32 values, and half of the smallest one is still a double.
        middle = below.astype(np.float64) / 2 + np.where(np.isinf(above), 2.0**128, above) / 2
        stays = middle.astype(np.float32) == below
        folded = np.where(stays, middle, np.nextafter(middle, -np.inf))
    # Beyond the largest float32 all values lie on one side.
    return np.where(np.abs(thresholds) > FLOAT32_LARGEST, np.copysign(np.inf, thresholds), folded)


def tree_from_nodes(
    is_leaf: Any,
    feature: Any,
    threshold: Any,
    left: Any,
    right: Any,
    missing_left: Any,
    leaf_values: Any,
    cover: Any = None,
    breakpoints: Mapping[int, nodes.Floats] | None = None,
) -> nodes.Tree:
    """Return the tree of a table with one row per node, splits and leaves mixed, root first.

    All arguments have one entry per node, but ``leaf_values`` has shape (nodes, outputs), and ``breakpoints`` has
    entries only for splits on a set of values. Splits and leaves keep their order. Raises `UnsupportedModelError`
    for a leaf value that is not finite or too close to zero.
    """
    is_leaf = np.asarray(is_leaf, dtype=bool)
    split = ~is_leaf
    number = np.where(is_leaf, -np.cumsum(is_leaf), np.cumsum(split) - 1)
    left, right = (number[np.asarray(children, dtype=np.int64)[split]] for children in (left, right))
    leaves = np.asarray(leaf_values, dtype=np.float64)[is_leaf]
    magnitudes = np.abs(leaves[leaves != 0])
    if not np.isfinite(leaves).all() or (magnitudes < SMALLEST_LEAF).any():
        raise UnsupportedModelError(
            f"A leaf holds a value that is infinite or closer to zero than {SMALLEST_LEAF}; scale the target."
        )
    return nodes.Tree(
        feature=np.asarray(feature, dtype=np.int64)[split],
        threshold=np.asarray(threshold, dtype=np.float64)[split],
        left=left,
        right=right,
        missing_left=np.asarray(missing_left, dtype=bool)[split],
        leaves=leaves,
        depth=longest_path(left, right),
        breakpoints={int(number[row]): points for row, points in (breakpoints or {}).items()},
        split_cover=None if cover is None else np.asarray(cover, dtype=np.float64)[split],
        leaf_cover=None if cover is None else np.asarray(cover, dtype=np.float64)[is_leaf],
    )


def longest_path(left: nodes.Integers, right: nodes.Integers) -> int:
    """Return the number of splits on the longest path; a split has a higher number than the one above it."""
    depths = np.ones(len(left), dtype=np.int64)
    for split, children in enumerate(zip(left, right, strict=True)):
        for child in children:
            if child >= 0:
                depths[child] = depths[split] + 1
    return int(depths.max(initial=0))


def _float32_tree(model: Any, leaf_values: Any) -> nodes.Tree:
    tree = model.tree_
    is_leaf = tree.children_left == tree.children_right
    threshold = np.where(is_leaf, 0.0, tree.threshold)
    return tree_from_nodes(
        is_leaf=is_leaf,
        feature=tree.feature,
        threshold=fold_float32(threshold),
        left=tree.children_left,
        right=tree.children_right,
        missing_left=tree.missing_go_to_left,
        leaf_values=leaf_values,
        cover=tree.weighted_n_node_samples,
    )


class Float32TreeAssembler(Assembler):
    """What the families of this module share: the check of their input, and one target only."""

    def checked_source(self, allow_missing: bool) -> nodes.CheckedVector:
        """Return ``source`` behind the check that the library has before it rounds to float32.

        In a sparse matrix the library takes no missing values.
        """
        return nodes.CheckedVector(self.source, allow_missing and not self.is_sparse, limit=FLOAT32_LIMIT)

    def require_one_target(self) -> None:
        """Refuse a model of several targets."""
        if self.model.n_outputs_ != 1:
            raise UnsupportedModelError(f"{type(self.model).__name__} was fitted on several targets; fit one each.")


class AveragedTreesAssembler(Float32TreeAssembler):
    """A forest, or a single tree as a forest of one: the mean of leaves, be they values or class shares."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``, or a scalar for a regressor."""
        self.require_one_target()
        estimators: Sequence[Any] = getattr(self.model, "estimators_", [self.model])
        trees = [_float32_tree(estimator, estimator.tree_.value[:, 0, :]) for estimator in estimators]
        # Some criteria take no missing values; the estimator's tags say so, and its check of the input reads
        # them.
        allow_missing = estimators[0].__sklearn_tags__().input_tags.allow_nan
        return nodes.AveragedTreesExpr(self.checked_source(allow_missing), trees)


class GradientBoostingAssembler(Float32TreeAssembler):
    """The first guess plus ``learning_rate * leaf`` per stage."""

    def scores(self) -> nodes.BoostedTreesExpr:
        """Return one score per output."""
        model = self.model
        if not (model.init is None or model.init == "zero"):
            raise UnsupportedModelError(
                f"{type(model).__name__} with an estimator as init is not supported; leave it at its default."
            )
        base = np.ravel(model._raw_predict_init(np.zeros((1, self.source.output_size))))
        groups = [
            [
                _float32_tree(estimator, model.learning_rate * estimator.tree_.value[:, 0, :])
                for estimator in model.estimators_[:, output]
            ]
            for output in range(model.estimators_.shape[1])
        ]
        return nodes.BoostedTreesExpr(self.checked_source(allow_missing=False), groups, base)


class GradientBoostingClassifierAssembler(GradientBoostingAssembler):
    """Logistic function or softmax of the scores."""

    def decision_function(self) -> ast.Expr:
        """Return the score, or one per class when there are more than two."""
        return self.scores()

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        scores = self.decision_function()
        if self.model.loss == "exponential":
            return binary_probabilities(ast.BinNumExpr(ast.NumVal(2.0), scores, ast.BinNumOpType.MUL))
        return binary_probabilities(scores) if scores.output_size == 1 else nodes.SoftmaxVector(scores)


class GradientBoostingRegressorAssembler(GradientBoostingAssembler):
    """The score itself."""

    def assemble(self) -> ast.Expr:
        """Return a scalar."""
        return self.scores()
