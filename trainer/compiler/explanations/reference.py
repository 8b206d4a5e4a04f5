"""Computes explanations from their definition, in plain Python: for small models, to test the SQL against.

It shares nothing with what writes the SQL. A game says what the output is when a set of features is known; a Shapley
value is what a feature changes when it becomes known, averaged over all orders in which features can. Every tree is a
game by itself, since Shapley values of a sum are sums.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb, isnan

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.nodes import Floats
from trainer.compiler.reference import Row, evaluate

Game = Callable[[frozenset[int]], Floats]


def explain(expr: ast.Expr, row: Row, background: Sequence[float] | None = None) -> list[float]:
    """Return the contributions to the raw output of a folded AST: per output those of the features, then the base.

    Where there are several sums of trees or linear scores, their contributions are averaged. Linear scores need the
    ``background``. The time doubles with every feature of a tree, and with every feature of a linear model.
    """
    return _averaged(expr, row, lambda node, values: _exact(node, values, background))


def attribute_path(expr: ast.Expr, row: Row) -> list[float]:
    """Return the changes of the mean along the paths that the row takes, in the layout of `explain`."""
    return _averaged(expr, row, _along_paths)


def shapley_values(game: Game, players: Sequence[int]) -> dict[int, Floats]:
    """Return the Shapley value of each player."""
    result: dict[int, Floats] = {}
    for player in players:
        others = [other for other in players if other != player]
        result[player] = np.zeros_like(game(frozenset()))
        for size in range(len(players)):
            for before in combinations(others, size):
                change = game(frozenset({*before, player})) - game(frozenset(before))
                result[player] = result[player] + change / (len(players) * comb(len(others), size))
    return result


def _averaged(expr: ast.Expr, row: Row, contributions: Callable[[ast.Expr, list[float | None]], Floats]) -> list[float]:
    values = [None if value is None or isnan(value) else float(value) for value in row]
    raw = [node for node in nodes.walk(expr) if isinstance(node, nodes.TreeExpr | nodes.LinearExpr)]
    mean: Floats = np.mean([contributions(node, values).ravel() for node in raw], axis=0)
    return [float(value) for value in mean]


def _exact(node: ast.Expr, values: list[float | None], background: Sequence[float] | None) -> Floats:
    if isinstance(node, nodes.LinearExpr):
        return _exact_linear(node, values, background)

    def one_tree(tree: nodes.Tree) -> tuple[dict[int, Floats], Floats]:
        def game(known: frozenset[int]) -> Floats:
            return _expected(tree, values, known, 0 if tree.splits else -1)

        return shapley_values(game, sorted(set(tree.feature.tolist()))), game(frozenset())

    return _sum_of_trees(node, one_tree)


def _exact_linear(node: nodes.LinearExpr, values: list[float | None], background: Sequence[float] | None) -> Floats:
    if background is None:
        raise ValueError("linear scores are explained against a background")
    features = list(range(len(background)))

    def game(known: frozenset[int]) -> Floats:
        return np.array(evaluate(node, [values[place] if place in known else background[place] for place in features]))

    parts = shapley_values(game, features)
    return np.array([*(parts[feature] for feature in features), game(frozenset())]).T


def _along_paths(node: ast.Expr, values: list[float | None]) -> Floats:
    if isinstance(node, nodes.LinearExpr):
        raise ValueError("linear scores have no paths")

    def one_tree(tree: nodes.Tree) -> tuple[dict[int, Floats], Floats]:
        changes: dict[int, Floats] = {}
        place = 0 if tree.splits else -1
        base = mean = _expected(tree, values, frozenset(), place)
        while place >= 0:
            feature = int(tree.feature[place])
            place = _next(tree, values, place)
            after = _expected(tree, values, frozenset(), place)
            changes[feature] = changes.get(feature, 0.0) + after - mean
            mean = after
        return changes, base

    return _sum_of_trees(node, one_tree)


def _sum_of_trees(node: ast.Expr, one_tree: Callable[[nodes.Tree], tuple[dict[int, Floats], Floats]]) -> Floats:
    features = next(inner.output_size for inner in nodes.walk(node) if isinstance(inner, nodes.FeatureVector))
    result = np.zeros((node.output_size, features + 1))
    if isinstance(node, nodes.AveragedTreesExpr):
        weight = 1 / len(node.trees)
        placed = [(slice(None), tree) for tree in node.trees]
    else:
        weight = 1 / (node.divisor or 1.0)
        result[:, features] = weight * node.base
        placed = [(slice(output, output + 1), tree) for output, group in enumerate(node.groups) for tree in group]
    for outputs, tree in placed:
        parts, base = one_tree(tree)
        result[outputs, features] += weight * base
        for feature, part in parts.items():
            result[outputs, feature] += weight * part
    return result


def _expected(tree: nodes.Tree, values: list[float | None], known: frozenset[int], place: int) -> Floats:
    """Return the expected leaf below a node where a feature that is not known takes all sides by their covers."""
    if place < 0:
        leaf: Floats = tree.leaves[-1 - place]
        return leaf
    if int(tree.feature[place]) in known:
        return _expected(tree, values, known, _next(tree, values, place))
    children = (int(tree.left[place]), int(tree.right[place]))
    covers = [_cover(tree, child) for child in children]
    shares = [cover / sum(covers) if sum(covers) > 0 else 0.5 for cover in covers]
    left, right = (_expected(tree, values, known, child) for child in children)
    return shares[0] * left + shares[1] * right


def _cover(tree: nodes.Tree, place: int) -> float:
    if tree.split_cover is None or tree.leaf_cover is None:
        raise ValueError("a tree without covers cannot be explained")
    return float(tree.split_cover[place] if place >= 0 else tree.leaf_cover[-1 - place])


def _next(tree: nodes.Tree, values: list[float | None], place: int) -> int:
    """Return the child of a split that the row goes to."""
    value = values[tree.feature[place]]
    if value is None:
        goes_left = bool(tree.missing_left[place])
    else:
        points = tree.breakpoints.get(place, tree.threshold[place : place + 1])
        goes_left = sum(point < value for point in points.tolist()) % 2 == 0
    return int(tree.left[place] if goes_left else tree.right[place])
