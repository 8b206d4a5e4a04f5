"""The steps of the quadrature through trees, and the table of splits that they read."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from trainer.compiler.explanations.decisions import Decisions
from trainer.compiler.explanations.ensemble import Ensemble, WeightedTree
from trainer.compiler.nodes import Floats

# Takes the place of a share of zero, by which weights could not be divided; it is lost in rounding.
SMALLEST_SHARE = 1e-30


class Step(IntEnum):
    """What a step does at its split.

    ``DOWN`` goes to the first child, ``SWITCH`` from there to the second, ``JOIN`` back up from the second.
    ``JOIN_LEAF`` and ``JOIN_PAIR`` go up from the first child, the second being a leaf or a pair: a split between two
    leaves whose feature was not tested above. ``PAIR_LEAF`` is all of a split between a pair and a leaf, ``PAIR`` all
    of a pair, ``LEAF`` a first child that is a leaf, ``START`` the beginning of a tree. The steps ``..._AGAIN`` are for
    splits whose feature was tested above; ``ENTER_...`` and ``LEAVE_...`` count the tests of such a feature that do not
    hold on the way.

    The order is the one in which the text asks for them: frequent ones first, and those together that begin alike.
    """

    DOWN = 0
    SWITCH = 1
    JOIN_LEAF = 2
    JOIN_PAIR = 3
    PAIR_LEAF = 4
    PAIR = 5
    JOIN_PAIR_AGAIN = 6
    JOIN = 7
    START = 8
    LEAF = 9
    DOWN_AGAIN = 10
    SWITCH_AGAIN = 11
    JOIN_LEAF_AGAIN = 12
    JOIN_AGAIN = 13
    ENTER_FIRST = 14
    LEAVE_FIRST = 15
    ENTER_SECOND = 16
    LEAVE_SECOND = 17


AGAIN = {
    Step.DOWN: Step.DOWN_AGAIN,
    Step.SWITCH: Step.SWITCH_AGAIN,
    Step.JOIN_LEAF: Step.JOIN_LEAF_AGAIN,
    Step.JOIN_PAIR: Step.JOIN_PAIR_AGAIN,
    Step.JOIN: Step.JOIN_AGAIN,
}

# A step is one number: its kind, a bit for the first child being the left one, and the number of its split.
SPLIT_BITS = 20
KIND_SHIFT = SPLIT_BITS + 1


class Split(NamedTuple):
    """One row of the table: ``share`` is the first child's, ``target`` the place of the feature's contribution.

    ``second_leaf`` and ``first_leaf`` are children that are leaves, one number per output; of a split whose second
    child is a leaf, the first child is written as its distance from it. ``earlier`` is the product of the shares that
    the tests of the same feature above led to, zero where there is none.
    """

    test: int
    target: int
    share: float
    first_is_left: bool
    second_leaf: Floats
    first_leaf: Floats
    earlier: float


class Visit(NamedTuple):
    """A node still to be visited, with the features tested on the way and the product of the shares they led to.

    The values below it are written as distances from ``origin``.
    """

    node: int
    known: dict[int, float]
    origin: Floats


class Move(NamedTuple):
    """A step still to be taken, with the number of its split and its pair."""

    kind: Step
    number: int = 0
    pair: Split | None = None


class Table:
    """The splits of some trees, numbered from 1, their pairs in the order of the steps, and the steps."""

    def __init__(self, ensemble: Ensemble, decisions: Decisions, trees: Sequence[WeightedTree]) -> None:
        self._width = ensemble.features + 1
        self._decisions = decisions
        self.splits: list[Split] = []
        moves: list[Move] = []
        for tree in trees:
            below = _features_below(tree)
            waiting: list[Visit | Move] = [Visit(tree.root, {}, np.zeros(ensemble.tree_outputs)), Move(Step.START)]
            while waiting:
                item = waiting.pop()
                if isinstance(item, Visit):
                    waiting += reversed(self._way_through(tree, item, below))
                else:
                    moves.append(item)
        self.pairs = [move.pair for move in moves if move.pair is not None]
        self.kinds = {move.kind for move in moves}
        # Arrays for splits with an earlier test end after them.
        order = sorted(range(len(self.splits)), key=lambda row: self.splits[row].earlier == 0)
        self.splits = [self.splits[row] for row in order]
        numbers = {row + 1: place for place, row in enumerate(order, start=1)} | {0: 0}
        self.steps = [self._step(move.kind, numbers[move.number]) for move in moves]

    def _step(self, kind: Step, number: int) -> int:
        side = number > 0 and self.splits[number - 1].first_is_left
        return kind << KIND_SHIFT | side << SPLIT_BITS | number

    def _way_through(self, tree: WeightedTree, visit: Visit, below: Sequence[int]) -> list[Visit | Move]:
        """Add a split and return the steps through it, with visits in place of the steps through its children."""
        split, known, origin = visit
        feature, children = int(tree.tree.feature[split]), tree.children(split)
        repeated = feature in known
        if max(children) < 0 and not repeated:
            return [Move(Step.PAIR, pair=self._split(tree, visit, (0, 1)))]
        shares = [tree.share(split, goes_right) for goes_right in (False, True)]
        inner = [known | {feature: known.get(feature, 1.0) * max(share, SMALLEST_SHARE)} for share in shares]
        are_pairs = [
            child >= 0 and max(tree.children(child)) < 0 and int(tree.tree.feature[child]) not in inner[side]
            for side, child in enumerate(children)
        ]

        def rank(side: int) -> tuple[bool, bool, bool, int]:
            """Put a leaf last, then a pair; else the smaller child, for which the values of the larger one wait.

            No weight can be divided by the factor of a second child whose share is lost beside the first one's, unless
            that is a leaf or a pair.
            """
            return children[side] < 0, are_pairs[side], shares[1 - side] < 1, -len(tree.splits_below(children[side]))

        order = sorted((0, 1), key=rank)
        first, second = (children[side] for side in order)
        origins = (tree.values[-1 - second] if second < 0 else origin, origin)
        visits = [Visit(children[side], inner[side], place) for side, place in zip(order, origins, strict=True)]
        self.splits.append(self._split(tree, visit, order))
        number = len(self.splits)
        if are_pairs[order[0]] and second < 0 and not repeated:
            return [Move(Step.PAIR_LEAF, number, self._split(tree, visits[0], (0, 1)))]
        way: list[Visit | Move] = []

        def move(kind: Step, pair: Split | None = None) -> None:
            way.append(Move(AGAIN[kind] if repeated else kind, number, pair))

        def stay(child: Visit, enter: Step, leave: Step) -> None:
            is_watched = below[child.node] >> feature & 1
            way.extend([Move(enter, number)] * is_watched)
            way.append(child)
            way.extend([Move(leave, number)] * is_watched)

        move(Step.DOWN)
        if first < 0:
            way.append(Move(Step.LEAF, number))
        else:
            stay(visits[0], Step.ENTER_FIRST, Step.LEAVE_FIRST)
        if second < 0:
            move(Step.JOIN_LEAF)
        elif are_pairs[order[1]]:
            move(Step.JOIN_PAIR, self._split(tree, visits[1], (0, 1)))
        else:
            move(Step.SWITCH)
            stay(visits[1], Step.ENTER_SECOND, Step.LEAVE_SECOND)
            move(Step.JOIN)
        return way

    def _split(self, tree: WeightedTree, visit: Visit, order: Sequence[int]) -> Split:
        """Return the row of a split whose children come in ``order``."""
        split, known, origin = visit
        feature = int(tree.tree.feature[split])
        first, second = (tree.children(split)[side] for side in order)
        nothing = np.zeros(len(origin))
        return Split(
            test=self._decisions.places[tree.tests[split]],
            target=tree.first_output * self._width + feature + 1,
            share=max(tree.share(split, order[0] == 1), SMALLEST_SHARE),
            first_is_left=order[0] == 0,
            second_leaf=tree.values[-1 - second] - origin if second < 0 else nothing,
            first_leaf=tree.values[-1 - first] - tree.values[-1 - second] if max(first, second) < 0 else nothing,
            earlier=known.get(feature, 0.0),
        )


def _features_below(tree: WeightedTree) -> list[int]:
    """Return, per split, the features tested at or below it, as bits; a zero at the end stands for every leaf."""
    features = [0] * (tree.tree.splits + 1)
    for split in reversed(tree.preorder):
        left, right = (max(child, -1) for child in tree.children(split))
        features[split] = 1 << int(tree.tree.feature[split]) | features[left] | features[right]
    return features
