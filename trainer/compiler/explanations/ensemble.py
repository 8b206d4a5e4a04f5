"""What is explained: the raw output of a model, as sums of trees or as linear scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.explanations.decisions import SplitTest, split_test
from trainer.compiler.nodes import Floats

# A leaf this much closer to zero than the largest one counts as zero; it is lost in rounding.
NEGLIGIBLE_LEAF = 1e-30
# The class shares of a leaf add up to one but for rounding.
SHARE_TOLERANCE = 1e-12


@dataclass(frozen=True)
class WeightedTree:
    """A tree that knows which share of the training data each child of a split got.

    ``values`` has shape (leaves, outputs): what the tree adds to the outputs from ``first_output`` on. ``left_share``
    is the left child's part of the cover of both children; a split that no row reached counts as an even one.
    """

    tree: nodes.Tree
    values: Floats
    first_output: int
    left_share: Floats

    @property
    def root(self) -> int:
        """The number of the root, as in `nodes.Tree`."""
        return 0 if self.tree.splits else -1

    def children(self, split: int) -> tuple[int, int]:
        """Return the left and the right child of a split."""
        return int(self.tree.left[split]), int(self.tree.right[split])

    def share(self, split: int, goes_right: bool) -> float:
        """Return the share of one child of a split."""
        left = float(self.left_share[split])
        return 1.0 - left if goes_right else left

    @cached_property
    def preorder(self) -> list[int]:
        """All splits, each before those below it, the left child's first."""
        order: list[int] = []
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            if node >= 0:
                order.append(node)
                waiting += reversed(self.children(node))
        return order

    @cached_property
    def _sizes(self) -> dict[int, tuple[int, int]]:
        """The place of each split among all, and the number of splits at or below it."""
        sizes = dict.fromkeys(self.preorder, 1)
        for split in reversed(self.preorder):
            sizes[split] += sum(sizes[child] for child in self.children(split) if child >= 0)
        return {split: (place, sizes[split]) for place, split in enumerate(self.preorder)}

    def splits_below(self, node: int) -> list[int]:
        """Return a split and those below it, none for a leaf."""
        if node < 0:
            return []
        place, size = self._sizes[node]
        return self.preorder[place : place + size]

    @cached_property
    def tests(self) -> list[SplitTest]:
        """The test of every split."""
        return [split_test(self.tree, split) for split in range(self.tree.splits)]

    @cached_property
    def means(self) -> Floats:
        """The mean of the leaves below each split, with shape (splits, outputs)."""
        means = np.zeros((self.tree.splits, self.values.shape[1]))
        for split in reversed(self.preorder):
            left, right = (means[child] if child >= 0 else self.values[-1 - child] for child in self.children(split))
            means[split] = self.share(split, False) * left + self.share(split, True) * right
        return means

    def mean(self, node: int) -> Floats:
        """Return the mean of the leaves below a split, or the value of a leaf, per output."""
        row: Floats = self.means[node] if node >= 0 else self.values[-1 - node]
        return row


@dataclass(frozen=True)
class Ensemble:
    """Sums of trees that read features.

    ``base`` is the expected output, one number per output. With ``last_is_rest``, the outputs add up to a constant,
    and the trees do not hold the last of them.
    """

    sources: list[nodes.VectorNode]
    features: int
    trees: list[WeightedTree]
    base: Floats
    last_is_rest: bool

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return len(self.base)

    @property
    def tree_outputs(self) -> int:
        """The number of outputs that every tree adds to."""
        return int(self.trees[0].values.shape[1])


@dataclass(frozen=True)
class LinearScores:
    """The mean of linear scores, one `nodes.LinearExpr` per fold."""

    parts: list[nodes.LinearExpr]
    features: int

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return len(self.parts[0].intercepts)


def raw_output(expr: ast.Expr) -> Ensemble | LinearScores:
    """Return the raw output of a folded AST: its sums of trees or linear scores, averaged where there are several.

    Raises `UnsupportedModelError` where covers are not known, where outputs of different kinds are mixed, where a
    voting ensemble averages something else than raw outputs, and for neural networks.
    """
    features = next(node.output_size for node in nodes.walk(expr) if isinstance(node, nodes.FeatureVector))
    if any(isinstance(node, nodes.DenseExpr) for node in nodes.walk(expr)):
        raise UnsupportedModelError(
            "A neural network (MLPClassifier, MLPRegressor) cannot be explained; compile it without an explanation."
        )
    if any(isinstance(node, nodes.AverageVector) for node in nodes.walk(expr)):
        votes = _votes(expr, 1.0)
        return _ensemble([node for node, _ in votes], [share for _, share in votes], features)
    raw = [node for node in nodes.walk(expr) if isinstance(node, nodes.TreeExpr | nodes.LinearExpr)]
    if len({(type(node), node.output_size) for node in raw}) != 1:
        raise UnsupportedModelError(
            "A model made of models of different kinds cannot be explained; explain each alone."
        )
    linear = [node for node in raw if isinstance(node, nodes.LinearExpr)]
    if linear:
        return LinearScores(linear, features)
    sums = [node for node in raw if isinstance(node, nodes.TreeExpr)]
    return _ensemble(sums, [1 / len(sums)] * len(sums), features)


def _votes(expr: ast.Expr, share: float) -> list[tuple[nodes.TreeExpr, float]]:
    """Return the sums of trees whose values a voting ensemble averages, each with its share."""
    if isinstance(expr, nodes.TreeExpr):
        return [(expr, share)]
    if isinstance(expr, nodes.ElementExpr) and expr.source.output_size == 1:
        return _votes(expr.source, share)
    if isinstance(expr, ast.VectorVal) and len(expr.exprs) == 1:
        return _votes(expr.exprs[0], share)
    if isinstance(expr, nodes.AverageVector):
        weights = expr.weights or [1.0] * len(expr.exprs)
        pairs = zip(expr.exprs, weights, strict=True)
        return [vote for member, weight in pairs for vote in _votes(member, share * weight / expr.total)]
    raise UnsupportedModelError(
        "A voting ensemble can be explained where the raw output of every member is what it votes with: forests and"
        " trees, and regressors made of trees. Explain the other members each alone."
    )


def _ensemble(sums: Sequence[nodes.TreeExpr], shares: Sequence[float], features: int) -> Ensemble:
    """Return the sum of ``sums``, each times its share; the shares add up to one."""
    base = np.zeros(sums[0].output_size)
    trees: list[WeightedTree] = []
    averaged = all(isinstance(node, nodes.AveragedTreesExpr) for node in sums)
    totals = np.concatenate([tree.leaves.sum(axis=1) for node in sums for tree in node.trees])
    last_is_rest = averaged and len(base) > 1 and bool(np.ptp(totals) <= SHARE_TOLERANCE * np.abs(totals).max())
    for node, share in zip(sums, shares, strict=True):
        if isinstance(node, nodes.BoostedTreesExpr):
            weight = share / (node.divisor or 1.0)
            base += weight * node.base
            trees += [
                _weighted(tree, weight * tree.leaves, output)
                for output, group in enumerate(node.groups)
                for tree in group
            ]
        else:
            weight = share / len(node.trees)
            kept = slice(0, len(base) - last_is_rest)
            trees += [_weighted(tree, weight * tree.leaves[:, kept], 0) for tree in node.trees]
    limit = NEGLIGIBLE_LEAF * max(float(np.abs(tree.values).max()) for tree in trees)
    trees = [replace(tree, values=np.where(np.abs(tree.values) < limit, 0.0, tree.values)) for tree in trees]
    for tree in trees:
        base[tree.first_output : tree.first_output + tree.values.shape[1]] += tree.mean(tree.root)
    if last_is_rest:
        base[-1] = totals.mean() - base[:-1].sum()
    return Ensemble([node.source for node in sums], features, trees, base, last_is_rest)


def _weighted(tree: nodes.Tree, values: Floats, first_output: int) -> WeightedTree:
    if tree.splits == 0:
        return WeightedTree(tree, values, first_output, np.array([]))
    if tree.split_cover is None or tree.leaf_cover is None:
        raise UnsupportedModelError(
            "A tree does not say how many training rows reached its nodes, which explanations weigh by; fit the model"
            " with the library instead of building it from parts."
        )
    cover = np.concatenate([tree.split_cover, tree.leaf_cover[::-1]])
    left, right = cover[tree.left], cover[tree.right]
    if not (np.isfinite(cover).all() and (cover >= 0).all()):
        raise UnsupportedModelError("A tree was fitted with negative weights, by which explanations cannot weigh.")
    total = left + right
    with np.errstate(invalid="ignore"):
        return WeightedTree(tree, values, first_output, np.where(total > 0, left / total, 0.5))
