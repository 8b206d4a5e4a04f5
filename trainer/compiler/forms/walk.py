"""The walk: a loop from split to split over constant arrays. Cheapest for one row, since it starts at no cost.

The arrays are written where they are read: as variables they would be copied at every call.
"""

from typing import Any

import numpy as np

from trainer.compiler import nodes
from trainer.compiler.code_generator import FLOAT, FLOATS, INTEGER, INTEGERS, SINGLE
from trainer.compiler.interpreter import NULL, PlpgsqlInterpreter


class WalkInterpreter(PlpgsqlInterpreter):
    """Writes every sum of trees as one loop over all its trees."""

    def interpret_boosted_trees_expr(self, expr: nodes.BoostedTreesExpr, **_: Any) -> str:
        """Add up one leaf per tree, output by output."""
        code, single = self._code, expr.single
        table = TreeTable(expr)
        columns = self._tree_columns(expr, table)
        leaf = code.element(code.numbers(table.leaves[::-1, 0], lower=-len(table.leaves), single=single), "v_node")
        score = self._fresh("v_score", SINGLE if single else FLOAT)
        if expr.output_size == 1:
            code.assign(score, code.number(expr.base[0], single=single))
            self._walk_trees(table, columns, code.integers(table.roots))
            code.assign(score, code.operation(score, "+", leaf))
            code.close("LOOP")
            return self._divided(expr, score)
        scores = self._fresh("v_scores", FLOATS)
        output = code.declare("v_output", INTEGER)
        roots = code.declare("v_roots", INTEGERS)
        code.assign(scores, code.numbers(expr.base))
        code.assign(output, "0")
        code.open_each(roots, code.integer_rows(table.roots.reshape(expr.output_size, -1)), rows=True)
        code.assign(output, code.operation(output, "+", "1"))
        code.assign(score, code.element(scores, output))
        self._walk_trees(table, columns, roots)
        code.assign(score, code.operation(score, "+", leaf))
        code.close("LOOP")
        code.assign(code.element(scores, output), self._divided(expr, score))
        code.close("LOOP")
        return scores

    def interpret_averaged_trees_expr(self, expr: nodes.AveragedTreesExpr, **_: Any) -> str:
        """Add up one leaf per tree in one variable per output, then divide by the number of trees."""
        code = self._code
        table = TreeTable(expr)
        columns = self._tree_columns(expr, table)
        scores = [self._fresh("v_score", FLOAT) for _ in range(expr.output_size)]
        for score in scores:
            code.assign(score, code.number(0))
        self._walk_trees(table, columns, code.integers(table.roots))
        for number, score in enumerate(scores):
            leaves = code.numbers(table.leaves[::-1, number], lower=-len(table.leaves))
            code.assign(score, code.operation(score, "+", code.element(leaves, "v_node")))
        code.close("LOOP")
        count = code.number(len(expr.trees))
        means = [code.operation(score, "/", count) for score in scores]
        return code.array(means) if expr.output_size > 1 else means[0]

    def _divided(self, expr: nodes.BoostedTreesExpr, score: str) -> str:
        code = self._code
        if expr.divisor is not None:
            score = code.operation(score, "/", code.number(expr.divisor, single=expr.single))
        return code.as_float(score) if expr.single else score

    def _tree_columns(self, expr: nodes.TreeExpr, table: "TreeTable") -> str:
        """Give the array that the trees read.

        A missing value fails the test of every split and so goes right. Splits that send it left read a
        second copy of the columns in which it is minus infinity, which no threshold keeps from the left.
        """
        code = self._code
        columns = self._array(expr.source)
        if not table.reads_copy:
            return columns
        copy = columns
        for missing in (code.number(np.nan), NULL):
            copy = code.call("pg_catalog.array_replace", copy, missing, code.number(-np.inf))
        with_copy = self._new_array()
        code.assign(with_copy, code.call("pg_catalog.array_cat", columns, copy))
        return with_copy

    def _walk_trees(self, table: "TreeTable", columns: str, roots: str) -> None:
        """Open the loop over ``roots``; in what follows, ``v_node`` is the leaf reached, a negative number."""
        code = self._code
        node = code.declare("v_node", INTEGER)
        feature = code.element(code.integers(table.features), node)
        threshold = code.element(code.numbers(table.thresholds), node)
        test = code.operation(code.element(columns, feature), "<=", threshold)
        left, right = (code.element(code.integers(children), node) for children in (table.left, table.right))
        code.open_each(node, roots)
        code.open_while(code.operation(node, ">", "0"))
        code.assign_choice(node, test, left, right)
        code.close("LOOP")


class TreeTable:
    """The trees of one expression in one table of tests: tests are 1, 2, ..., leaves are -1, -2, ...

    A test sends a value left that is at most its threshold. A split with several breakpoints becomes a search tree
    of tests, whose ends are the split's two children again.
    """

    def __init__(self, expr: nodes.TreeExpr) -> None:
        trees = expr.trees
        self._columns = expr.source.output_size
        first_split = np.cumsum([0] + [tree.splits for tree in trees])
        first_leaf = np.cumsum([0] + [len(tree.leaves) for tree in trees])

        def renumber(children: nodes.Integers, number: int) -> nodes.Integers:
            shift: nodes.Integers = np.where(children >= 0, first_split[number] + 1, -first_leaf[number])
            return children + shift

        self.roots = np.array(
            [first_split[n] + 1 if tree.splits else -1 - first_leaf[n] for n, tree in enumerate(trees)]
        )
        left = np.concatenate([renumber(tree.left, n) for n, tree in enumerate(trees)])
        right = np.concatenate([renumber(tree.right, n) for n, tree in enumerate(trees)])
        thresholds = np.concatenate([tree.threshold for tree in trees])
        missing_left = np.concatenate([tree.missing_left for tree in trees]) & expr.source.may_be_missing
        features = np.concatenate([tree.feature for tree in trees]) + 1 + self._columns * missing_left
        self.left: list[int] = left.tolist()
        self.right: list[int] = right.tolist()
        self.thresholds: list[float] = thresholds.tolist()
        self.features: list[int] = features.tolist()
        self.leaves = np.concatenate([tree.leaves for tree in trees])
        for number, tree in enumerate(trees):
            for split, points in tree.breakpoints.items():
                self._expand(int(first_split[number]) + split, points.tolist(), bool(tree.missing_left[split]))
        self.reads_copy = bool(missing_left.any())

    def _expand(self, row: int, points: list[float], missing_left: bool) -> None:
        """Replace the test in ``row`` by a search for the interval of the value."""
        sides = (self.left[row], self.right[row])
        if not missing_left and len(points) % 2 == 0:
            # A missing value falls to the right of all tests, which must be an interval of the right side.
            points = [*points, np.inf]

        def fill(place: int, low: int, high: int) -> None:
            """Write the test in ``place`` that tells the intervals ``low`` to ``high`` apart."""
            middle = (low + high) // 2
            self.thresholds[place] = points[middle]
            self.left[place] = side(low, middle)
            self.right[place] = side(middle + 1, high)

        def side(low: int, high: int) -> int:
            if low == high:
                return sides[low % 2]
            for column in (self.left, self.right, self.thresholds):
                column.append(0)
            self.features.append(self.features[row])
            place = len(self.left) - 1
            fill(place, low, high)
            return place + 1

        fill(row, 0, len(points))
