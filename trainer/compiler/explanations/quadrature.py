"""Exact Shapley values by quadrature: down and up again through every tree, whatever its shape.

Let every feature be known with probability t, independently. Where a split's feature is known, the row takes its own
side, the hot one; where it is not, it takes either side with that side's share of the training data. The expected
value of the tree is then a polynomial in t, and the Shapley value of a feature is the integral over t of what knowing
it changes. With the shares p and 1 - p of a split's first and second child, and h one if the first is hot, else zero,

    factor = p + (h - p) * t
    value(split) = value(second) + factor * (value(first) - value(second))
    contribution = integral of weight(split) * (h - p) * (value(first) - value(second))

where the weight is the product of the factors on the way, 1 - factor being the second child's. That holds where the
feature was not tested above. Where it was, and all its tests held, with r the product of the shares they led to, t
becomes t / (t + (1 - t) * r), and the contribution is weighted by r / (t + (1 - t) * r)^2. Where a test of it did not
hold, knowing it is no news any more: t becomes zero, and so does the contribution.

On a path with k features the integrand has degree k - 1, and Gauss-Legendre quadrature with k / 2 nodes is exact. All
factors lie between 0 and 1, so nothing cancels.

The text is one loop over a list of steps, with one variable per quadrature node for the weight and one for the value:
variables of PL/pgSQL are twice as fast as elements of arrays, and a text that is short stays in the processor's cache.
On the way up, a weight is divided by the factor that it was multiplied with on the way down.
"""

import math
from collections.abc import Callable, Sequence
from enum import IntEnum

import numpy as np

from trainer.compiler.code_generator import FLOAT, INTEGER, INTEGERS, CodeGenerator
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.explanations.decisions import Decisions
from trainer.compiler.explanations.ensemble import NEGLIGIBLE_LEAF, Ensemble, WeightedTree
from trainer.compiler.nodes import Floats

# Takes the place of a share of zero, by which weights could not be divided; it is lost in rounding.
SMALLEST_SHARE = 1e-30
SMALLEST_PRODUCT = 1e-290

# Microseconds, as measured for `costs`.
SPLIT_COST = 0.65
NODE_COST = 0.18


class Step(IntEnum):
    """What a step does at its split, the most frequent first.

    ``DOWN`` goes to the first child, ``SWITCH`` from there to the second, ``JOIN`` and ``JOIN_LEAF`` back up from the
    last child, where ``JOIN_LEAF`` has a leaf for the second one. ``PAIR`` is all of a split between two leaves,
    ``LEAF`` a first child that is one, ``START`` the beginning of a tree. For features that are tested again,
    ``REPEAT`` and ``FRESH`` change what t stands for, and ``ENTER_...`` and ``LEAVE_...`` count tests that do not
    hold.
    """

    DOWN = 0
    PAIR = 1
    JOIN_LEAF = 2
    SWITCH = 3
    JOIN = 4
    START = 5
    LEAF = 6
    REPEAT = 7
    FRESH = 8
    ENTER_FIRST = 9
    LEAVE_FIRST = 10
    ENTER_SECOND = 11
    LEAVE_SECOND = 12


# A step is one number: that of its split, a bit for the first child being the left one, and the kind of step.
KIND_BITS = 4
SIDE_BIT = 1 << KIND_BITS
SPLIT_SHIFT = KIND_BITS + 1

# A node with the features tested on the way to it, each with the product of the shares that its tests led to.
Visit = tuple[int, dict[int, float]]


class Table:
    """The splits of some trees, numbered from 1, and the steps through them; leaves have one list per output."""

    def __init__(self, ensemble: Ensemble, decisions: Decisions, trees: Sequence[WeightedTree]) -> None:
        self._width = ensemble.features + 1
        self.steps: list[int] = []
        self.tests: list[int] = []
        self.targets: list[int] = []
        self.shares: list[float] = []
        self.earlier: list[float] = []
        self.first_leaves: list[list[float]] = [[] for _ in range(ensemble.tree_outputs)]
        self.second_leaves: list[list[float]] = [[] for _ in range(ensemble.tree_outputs)]
        for tree in trees:
            places: list[int] = decisions.places(tree.tree).tolist()
            below, sizes = _below(tree)
            waiting: list[int | Visit] = [(tree.root, {}), int(Step.START)]
            while waiting:
                item = waiting.pop()
                if isinstance(item, int):
                    self.steps.append(item)
                else:
                    self.tests.append(places[item[0]])
                    waiting += reversed(self._steps_through(tree, item, below, sizes))
        self.kinds = {Step(step & (SIDE_BIT - 1)) for step in self.steps}

    def _steps_through(
        self, tree: WeightedTree, visit: Visit, below: Sequence[int], sizes: Sequence[int]
    ) -> list[int | Visit]:
        """Add a split and return the steps through it, with visits in place of the steps through its children."""
        split, known = visit
        feature, children = int(tree.tree.feature[split]), tree.children(split)
        shares = [max(tree.share(split, goes_right), SMALLEST_SHARE) for goes_right in (False, True)]
        # The larger child first, so that few values wait for the other one; and a share of zero, since no weight can be
        # divided by the factor of a second child that has none.
        order = sorted((0, 1), key=lambda side: (children[side] < 0, shares[1 - side] < 1, -sizes[children[side]]))
        first, second = (children[side] for side in order)
        self.targets.append(tree.first_output * self._width + feature + 1)
        self.shares.append(shares[order[0]])
        self.earlier.append(known.get(feature, 0.0))
        for leaves, child in ((self.first_leaves, first), (self.second_leaves, second)):
            for output, column in enumerate(leaves):
                column.append(0.0 if child >= 0 else float(tree.values[-1 - child, output]))

        own = len(self.targets) << SPLIT_SHIFT | (SIDE_BIT if order[0] == 0 else 0)
        way: list[int | Visit] = []

        def move(kind: Step) -> None:
            way.extend([own | Step.REPEAT, own | kind, own | Step.FRESH] if feature in known else [own | kind])

        def stay(child: int, side: int, enter: Step, leave: Step) -> None:
            visit = (child, known | {feature: known.get(feature, 1.0) * shares[side]})
            way.extend([own | enter, visit, own | leave] if below[child] >> feature & 1 else [visit])

        if first < 0 and feature not in known:
            return [own | Step.PAIR]
        move(Step.DOWN)
        if first < 0:
            way.append(own | Step.LEAF)
        else:
            stay(first, order[0], Step.ENTER_FIRST, Step.LEAVE_FIRST)
        if second < 0:
            move(Step.JOIN_LEAF)
        else:
            move(Step.SWITCH)
            stay(second, order[1], Step.ENTER_SECOND, Step.LEAVE_SECOND)
            move(Step.JOIN)
        return way


def _below(tree: WeightedTree) -> tuple[list[int], list[int]]:
    """Return, per split, the features tested at or below it, as bits, and the number of those splits.

    A zero at the end stands for every leaf.
    """
    features, sizes = [0] * (tree.tree.splits + 1), [0] * (tree.tree.splits + 1)
    for split in reversed(tree.preorder):
        children = [max(child, -1) for child in tree.children(split)]
        features[split] = 1 << int(tree.tree.feature[split]) | features[children[0]] | features[children[1]]
        sizes[split] = 1 + sizes[children[0]] + sizes[children[1]]
    return features, sizes


def nodes_for(tree: WeightedTree) -> int:
    """Return the number of quadrature nodes that make the integrals of a tree exact: half its longest path's features.

    Raises `UnsupportedModelError` where a product of shares could underflow.
    """
    paths: list[tuple[int, float]] = []
    waiting = [(tree.root, 0, 0.0)]
    while waiting:
        node, features, logarithm = waiting.pop()
        if node < 0:
            paths.append((features.bit_count(), logarithm))
            continue
        features |= 1 << int(tree.tree.feature[node])
        for goes_right, child in enumerate(tree.children(node)):
            share = max(tree.share(node, bool(goes_right)), SMALLEST_SHARE)
            waiting.append((child, features, logarithm + math.log(share)))
    nodes = -(-max(players for players, _ in paths) // 2)
    positions, weights = rule(nodes)
    smallest = math.log(weights.min() * NEGLIGIBLE_LEAF)
    for players, logarithm in paths:
        # Per feature, no factor is smaller than its share times the first position.
        if smallest + logarithm + players * math.log(positions[0]) < math.log(SMALLEST_PRODUCT):
            raise UnsupportedModelError(
                "A leaf was reached by too small a share of the training weight to be explained; weigh the rows more"
                " evenly."
            )
    return nodes


def rule(nodes: int) -> tuple[Floats, Floats]:
    """Return the positions and the weights of Gauss-Legendre quadrature between 0 and 1."""
    positions, weights = np.polynomial.legendre.leggauss(nodes)
    return (positions + 1) / 2, weights / 2


def cost(ensemble: Ensemble) -> float:
    """Return the expected microseconds of one row."""
    per_output = sum(
        tree.tree.splits * (SPLIT_COST + NODE_COST * nodes_for(tree)) for tree in ensemble.trees if tree.tree.splits
    )
    return ensemble.tree_outputs * per_output


def write(code: CodeGenerator, ensemble: Ensemble, decisions: Decisions) -> None:
    """Add the contributions of all trees to ``v_contributions``; the decisions are in ``v_decisions``.

    Trees that need the same number of nodes share a loop.
    """
    classes: dict[int, list[WeightedTree]] = {}
    for tree in ensemble.trees:
        if tree.tree.splits:
            classes.setdefault(nodes_for(tree), []).append(tree)
    for nodes, trees in sorted(classes.items()):
        _LoopWriter(code, Table(ensemble, decisions, trees), nodes, ensemble).write()


class _LoopWriter:
    """Writes the loop over the steps of one table.

    The arrays of the table are written where they are read: as variables they would be copied at every call.
    """

    def __init__(self, code: CodeGenerator, table: Table, nodes: int, ensemble: Ensemble) -> None:
        self._code = code
        self._table = table
        self._outputs = ensemble.tree_outputs
        self._width = ensemble.features + 1
        self._size = self._width * ensemble.outputs
        self._repeats = Step.REPEAT in table.kinds
        positions, weights = rule(nodes)
        self._positions, self._quadrature_weights = positions.tolist(), weights.tolist()
        names = [f"{number}" for number in range(1, nodes + 1)]
        self._weights = [code.declare(f"v_weight_{name}", FLOAT) for name in names]
        self._values = [code.declare(f"v_value_{name}", FLOAT) for name in names]
        if self._repeats:
            self._known = [code.declare(f"v_known_{name}", FLOAT) for name in names]
        else:
            self._known = [code.number(position) for position in self._positions]

    def write(self) -> None:
        """Write the loop, and a loop over outputs around it where there are several."""
        code, table = self._code, self._table
        step, kind, split = (code.declare(name, INTEGER) for name in ("v_step", "v_kind", "v_split"))
        share, change = code.declare("v_share", FLOAT), code.declare("v_change", FLOAT)
        if Step.SWITCH in table.kinds:
            code.assign(code.declare("v_waiting", INTEGER), "0")
            code.assign(code.declare("v_firsts", "double precision[]"), code.numbers([]))
        if self._repeats:
            code.assign(code.declare("v_failed", INTEGERS), code.integers([0] * self._size))
            self._write_fresh()
        if self._outputs > 1:
            code.open(f"FOR v_output IN 0..{self._outputs - 1} LOOP")
        code.open_each(step, code.integers(table.steps))
        code.assign(kind, code.operation(step, "&", str(SIDE_BIT - 1)))
        code.assign(split, code.operation(step, ">>", str(SPLIT_SHIFT)))
        code.open_if(code.operation(kind, "=", str(int(Step.START))))
        for weight, value in zip(self._weights, self._quadrature_weights, strict=True):
            code.assign(weight, code.number(value))
        code.line("CONTINUE;")
        code.close("IF")
        code.assign(share, code.element(code.numbers(table.shares), split))
        place = code.element(code.integers(table.tests), split)
        goes_right = code.call("pg_catalog.get_byte", "v_decisions", place)
        first_is_left = code.operation(code.operation(step, ">>", str(KIND_BITS)), "&", "1")
        first_is_hot = code.operation(goes_right, "#", first_is_left)
        code.assign(change, code.operation(code.as_float(first_is_hot), "-", share))
        self._dispatch(
            [
                (Step.DOWN, self._write_down),
                (Step.PAIR, self._write_pair),
                (Step.JOIN_LEAF, self._write_join_leaf),
                (Step.SWITCH, self._write_switch),
                (Step.JOIN, self._write_join),
                (Step.LEAF, self._write_leaf),
                (Step.REPEAT, self._write_repeat),
                (Step.FRESH, self._write_fresh),
                (Step.ENTER_FIRST, lambda: self._write_count("<", 1)),
                (Step.LEAVE_FIRST, lambda: self._write_count("<", -1)),
                (Step.ENTER_SECOND, lambda: self._write_count(">=", 1)),
                (Step.LEAVE_SECOND, lambda: self._write_count(">=", -1)),
            ]
        )
        code.close("LOOP")
        if self._outputs > 1:
            code.close("LOOP")

    def _dispatch(self, cases: Sequence[tuple[Step, Callable[[], None]]]) -> None:
        """Write one case after the other, those that occur."""
        code = self._code
        occurring = [case for case in cases if case[0] in self._table.kinds]
        for number, (kind, write_case) in enumerate(occurring):
            test = code.operation("v_kind", "=", str(int(kind)))
            if number == 0:
                code.open_if(test)
            else:
                code.otherwise_if(test)
            write_case()
        code.close("IF")

    # Expressions

    def _leaf(self, columns: Sequence[Sequence[float]]) -> str:
        code = self._code
        place = "v_split"
        if self._outputs > 1:
            place = code.operation(place, "+", code.operation("v_output", "*", str(len(columns[0]))))
        return code.element(code.numbers(value for column in columns for value in column), place)

    def _assign_target(self) -> str:
        code = self._code
        target = code.element(code.integers(self._table.targets), "v_split")
        if self._outputs > 1:
            target = code.operation(target, "+", code.operation("v_output", "*", str(self._width)))
        code.assign(code.declare("v_target", INTEGER), target)
        return "v_target"

    def _factor(self, node: int) -> str:
        """Give the factor of the first child."""
        code = self._code
        return code.operation("v_share", "+", code.operation("v_change", "*", self._known[node]))

    def _rest(self, node: int) -> str:
        """Give the factor of the second child, whose share is in ``v_rest``."""
        code = self._code
        return code.operation("v_rest", "-", code.operation("v_change", "*", self._known[node]))

    def _assign_rest(self) -> None:
        code = self._code
        code.assign(code.declare("v_rest", FLOAT), code.operation(code.number(1), "-", "v_share"))

    def _scale_weights(self, operator: str, factor: Callable[[int], str]) -> None:
        for node, weight in enumerate(self._weights):
            self._code.assign(weight, self._code.operation(weight, operator, factor(node)))

    def _contribute(self, amount: str) -> None:
        code = self._code
        contribution = code.element("v_contributions", "v_target")
        code.assign(contribution, code.operation(contribution, "+", amount))

    # Steps

    def _write_down(self) -> None:
        self._scale_weights("*", self._factor)

    def _write_pair(self) -> None:
        code = self._code
        self._assign_target()
        leaf, difference = code.declare("v_leaf", FLOAT), code.declare("v_difference", FLOAT)
        code.assign(leaf, self._leaf(self._table.second_leaves))
        code.assign(difference, code.operation(self._leaf(self._table.first_leaves), "-", leaf))
        code.assign(leaf, code.operation(leaf, "+", code.operation("v_share", "*", difference)))
        code.assign(difference, code.operation("v_change", "*", difference))
        self._contribute(code.operation(difference, "*", _sum(code, self._weights)))
        for value, position in zip(self._values, self._positions, strict=True):
            step = code.operation(difference, "*", code.number(position))
            code.assign(value, code.operation(leaf, "+", step))

    def _write_join_leaf(self) -> None:
        code = self._code
        leaf = code.declare("v_leaf", FLOAT)
        code.assign(leaf, self._leaf(self._table.second_leaves))
        self._scale_weights("/", self._factor)
        self._write_joined([leaf] * len(self._values), self._factor)

    def _write_switch(self) -> None:
        code = self._code
        self._assign_rest()
        for node, value in enumerate(self._values):
            code.assign(self._first(node), value)
        code.assign("v_waiting", code.operation("v_waiting", "+", str(len(self._values))))
        self._scale_weights("*", lambda node: code.operation(self._rest(node), "/", self._factor(node)))

    def _write_join(self) -> None:
        code = self._code
        self._assign_rest()
        code.assign("v_change", code.operation(code.number(0), "-", "v_change"))
        code.assign("v_share", "v_rest")
        self._scale_weights("/", self._factor)
        code.assign("v_waiting", code.operation("v_waiting", "-", str(len(self._values))))
        self._write_joined([self._first(node) for node in range(len(self._values))], self._factor)

    def _first(self, node: int) -> str:
        """Give the value of a first child that waits for the second one."""
        return self._code.element("v_firsts", self._code.operation("v_waiting", "+", str(node + 1)))

    def _write_joined(self, others: Sequence[str], factor: Callable[[int], str]) -> None:
        """Write the contribution of a split and its value, with the last child's value in ``v_value_...``."""
        code = self._code
        self._assign_target()
        differences = [code.operation(value, "-", other) for value, other in zip(self._values, others, strict=True)]
        terms = [
            code.operation(weight, "*", difference)
            for weight, difference in zip(self._weights, differences, strict=True)
        ]
        if self._repeats:
            code.open_if("v_is_repeated")
            densities = []
            for term, known, position in zip(terms, self._known, self._positions, strict=True):
                density = code.operation(code.operation(known, "*", known), "/", code.number(position * position))
                densities.append(code.operation(term, "*", density))
            earlier = code.operation("v_change", "*", "v_earlier")
            self._contribute(code.operation(earlier, "*", _sum(code, densities)))
            code.otherwise()
        self._contribute(code.operation("v_change", "*", _sum(code, terms)))
        if self._repeats:
            code.close("IF")
        for node, (value, other) in enumerate(zip(self._values, others, strict=True)):
            step = code.operation(factor(node), "*", differences[node])
            code.assign(value, code.operation(other, "+", step))

    def _write_leaf(self) -> None:
        code = self._code
        leaf = code.declare("v_leaf", FLOAT)
        code.assign(leaf, self._leaf(self._table.first_leaves))
        for value in self._values:
            code.assign(value, leaf)

    def _write_repeat(self) -> None:
        code = self._code
        self._assign_target()
        earlier = code.declare("v_earlier", FLOAT)
        code.assign(code.declare("v_is_repeated", "boolean"), "TRUE")
        code.assign(earlier, code.element(code.numbers(self._table.earlier), "v_split"))
        holds = code.operation(code.element("v_failed", "v_target"), "=", "0")
        code.open_if(holds)
        for known, position in zip(self._known, self._positions, strict=True):
            unknown = code.operation(code.number(1 - position), "*", earlier)
            either = code.operation(code.number(position), "+", unknown)
            code.assign(known, code.operation(code.number(position), "/", either))
        code.otherwise()
        for known in self._known:
            code.assign(known, code.number(0))
        code.close("IF")

    def _write_fresh(self) -> None:
        code = self._code
        code.assign(code.declare("v_is_repeated", "boolean"), "FALSE")
        for known, position in zip(self._known, self._positions, strict=True):
            code.assign(known, code.number(position))

    def _write_count(self, operator: str, number: int) -> None:
        """Write the count of tests of a feature that do not hold on the way; a first child is cold below zero."""
        code = self._code
        self._assign_target()
        code.open_if(code.operation("v_change", operator, code.number(0)))
        failed = code.element("v_failed", "v_target")
        code.assign(failed, code.operation(failed, "+", str(number)))
        code.close("IF")


def _sum(code: CodeGenerator, terms: Sequence[str]) -> str:
    result = terms[0]
    for term in terms[1:]:
        result = code.operation(result, "+", term)
    return result
