"""Exact Shapley values by table: for small trees, all contributions are computed here and looked up per row.

The leaves of a tree are put in groups, whole subtrees each. What a group contributes depends on nothing but the
outcomes of the tests on the way to its leaves: they number the cells of a table, which holds a value per feature.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from trainer.compiler.code_generator import INTEGER, CodeGenerator
from trainer.compiler.explanations.decisions import Decisions, SplitTest
from trainer.compiler.explanations.ensemble import Ensemble, WeightedTree
from trainer.compiler.explanations.quadrature import rule
from trainer.compiler.nodes import Floats

# A number takes some 20 bytes of text and, in a session, some 100 bytes of memory and 0.5 us of the first call.
MAXIMUM_NUMBERS = 100_000
# Numbers per group, the cheapest first.
LIMITS = (1024, 512, 256, 128)

# Microseconds, on the server of `costs`.
GROUP_COST = 0.1
TEST_COST = 0.07
VALUE_COST = 0.1

Bits = NDArray[np.bool_]
# A split on the way to a leaf, and whether the way goes right.
Path = tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class Group:
    """The leaves below one node of a tree, with the splits above and below the node."""

    tree: WeightedTree
    node: int
    path: Path

    @cached_property
    def tests(self) -> list[SplitTest]:
        """The different tests on the way to the leaves."""
        splits = [split for split, _ in self.path] + self.tree.splits_below(self.node)
        return sorted({self.tree.tests[split] for split in splits})

    @cached_property
    def features(self) -> list[int]:
        """The features that are tested."""
        return sorted({test.feature for test in self.tests})

    @cached_property
    def coordinates(self) -> list[list[int]]:
        """The tests in lists: those of one list come out as ones followed by zeros, and their sum is a coordinate."""
        result = []
        for feature in self.features:
            places = [place for place, test in enumerate(self.tests) if test.feature == feature]
            at_missing = [not self.tests[place].missing_left for place in places]
            if any(self.tests[place].is_set for place in places) or at_missing != sorted(at_missing, reverse=True):
                result += [[place] for place in places]
            else:
                result.append(places)
        return result

    @property
    def cells(self) -> int:
        """The number of cells."""
        return math.prod(len(places) + 1 for places in self.coordinates)

    @property
    def numbers(self) -> int:
        """The number of values in the table of one output."""
        return self.cells * len(self.features)

    @property
    def strides(self) -> list[int]:
        """The step of each test in the table: what a one adds to the place of the cell's first value."""
        strides = [0] * len(self.tests)
        step = len(self.features)
        for places in self.coordinates:
            for place in places:
                strides[place] = step
            step *= len(places) + 1
        return strides

    def table(self) -> Floats:
        """Return the contributions, with shape (outputs, cells, features)."""
        outcomes = self._outcomes()
        place_of = {test: place for place, test in enumerate(self.tests)}
        result = np.zeros((len(outcomes), len(self.features), self.tree.values.shape[1]))
        for leaf, path in _paths(self.tree, self.node, self.path):
            held: dict[int, Bits] = {}
            shares: dict[int, float] = {}
            for split, goes_right in path:
                feature = int(self.tree.tree.feature[split])
                is_hot = outcomes[:, place_of[self.tree.tests[split]]] == goes_right
                held[feature] = held.get(feature, True) & is_hot
                shares[feature] = shares.get(feature, 1.0) * self.tree.share(split, goes_right)
            weights = _shapley_weights(np.array(list(held.values())), np.array(list(shares.values())))
            for feature, weight in zip(held, weights, strict=True):
                result[:, self.features.index(feature)] += weight[:, np.newaxis] * self.tree.values[leaf]
        return result.transpose(2, 0, 1)

    def _outcomes(self) -> Bits:
        """Return the outcome of every test in every cell; the first coordinate varies fastest."""
        rows = []
        for cell in product(*(range(len(places) + 1) for places in reversed(self.coordinates))):
            row = [False] * len(self.tests)
            for places, rank in zip(self.coordinates, reversed(cell), strict=True):
                for place in places[:rank]:
                    row[place] = True
            rows.append(row)
        return np.array(rows, dtype=bool)


def _shapley_weights(held: Bits, shares: Floats) -> Floats:
    """Return the Shapley values of the features in the game that is won at one leaf of value one.

    ``held`` has shape (features, cells): whether all tests of a feature on the way hold. Known, the feature then
    counts one, else zero; unknown, its share.
    """
    features = len(shares)
    known, unknown = held.astype(np.float64), np.broadcast_to(shares[:, np.newaxis], held.shape)
    result = np.zeros(held.shape)
    for position, weight in zip(*rule(-(-features // 2)), strict=True):
        factors = position * known + (1 - position) * unknown
        for feature in range(features):
            others = np.prod(np.delete(factors, feature, axis=0), axis=0)
            result[feature] += weight * (known[feature] - unknown[feature]) * others
    return result


def groups_of(ensemble: Ensemble) -> list[Group] | None:
    """Return the groups of all trees, or None where their tables would be too large."""
    for limit in LIMITS:
        groups: list[Group] = []
        room = MAXIMUM_NUMBERS // ensemble.tree_outputs
        for group in (group for tree in ensemble.trees if tree.tree.splits for group in _groups_of_tree(tree, limit)):
            groups.append(group)
            room -= group.numbers
            if room < 0:
                break
        else:
            return groups
    return None


def _groups_of_tree(tree: WeightedTree, limit: int) -> Iterator[Group]:
    """Yield the largest subtrees whose tables have at most ``limit`` numbers, or a single leaf."""
    waiting: list[tuple[int, Path]] = [(tree.root, ())]
    while waiting:
        node, path = waiting.pop()
        group = Group(tree, node, path)
        if node < 0 or group.numbers <= limit:
            yield group
        else:
            waiting += _steps(tree, node, path)


def _steps(tree: WeightedTree, split: int, path: Path) -> list[tuple[int, Path]]:
    left, right = tree.children(split)
    return [(left, (*path, (split, False))), (right, (*path, (split, True)))]


def _paths(tree: WeightedTree, node: int, path: Path) -> Iterator[tuple[int, Path]]:
    """Yield the number and the path of every leaf below a node."""
    waiting = [(node, path)]
    while waiting:
        node, path = waiting.pop()
        if node < 0:
            yield -1 - node, path
        else:
            waiting += _steps(tree, node, path)


def cost(groups: Sequence[Group], outputs: int) -> float:
    """Return the expected microseconds of one row."""
    tests, values = sum(len(group.tests) for group in groups), sum(len(group.features) for group in groups)
    return outputs * (len(groups) * GROUP_COST + tests * TEST_COST + values * VALUE_COST)


def write(code: CodeGenerator, ensemble: Ensemble, decisions: Decisions, groups: Sequence[Group]) -> None:
    """Add the contributions of all groups to ``v_contributions``; the decisions are in ``v_decisions``.

    Groups with the same number of tests share a loop. The tables are written where they are read: as variables they
    would be copied at every call.
    """
    outputs = ensemble.tree_outputs
    width = ensemble.features + 1
    if outputs > 1:
        code.open(f"FOR v_output IN 0..{outputs - 1} LOOP")
    for count in sorted({len(group.tests) for group in groups}):
        chosen = [group for group in groups if len(group.tests) == count]
        tables = [group.table() for group in chosen]
        firsts = np.cumsum([0] + [len(group.features) for group in chosen])
        # The place of a value is that of its table, plus that of the cell in it, plus that of its feature among all.
        starts = np.cumsum([0] + [table[0].size for table in tables])
        bases = [int(start - first) for start, first in zip(starts, firsts, strict=True)]
        cell = code.declare("v_cell", INTEGER)
        code.open_count("v_group", len(chosen))
        place = code.element(code.integers(bases), "v_group")
        for test in range(count):
            position = code.integers(decisions.places[group.tests[test]] for group in chosen)
            stride = code.integers(group.strides[test] for group in chosen)
            outcome = code.call("pg_catalog.get_byte", "v_decisions", code.element(position, "v_group"))
            place = code.operation(place, "+", code.operation(code.element(stride, "v_group"), "*", outcome))
        if outputs > 1:
            place = code.operation(place, "+", code.operation("v_output", "*", str(starts[-1])))
        code.assign(cell, place)
        first = code.element(code.integers(firsts[:-1] + 1), "v_group")
        last = code.element(code.integers(firsts[1:]), "v_group")
        code.open(f"FOR v_place IN {first}..{last} LOOP")
        targets = [group.tree.first_output * width + feature + 1 for group in chosen for feature in group.features]
        target = code.element(code.integers(targets), "v_place")
        if outputs > 1:
            target = code.operation(target, "+", code.operation("v_output", "*", str(width)))
        values = np.concatenate([table.reshape(outputs, -1) for table in tables], axis=1).ravel()
        value = code.element(code.numbers(values), code.operation(cell, "+", "v_place"))
        contribution = code.element("v_contributions", target)
        code.assign(contribution, code.operation(contribution, "+", value))
        code.close("LOOP")
        code.close("LOOP")
    if outputs > 1:
        code.close("LOOP")
