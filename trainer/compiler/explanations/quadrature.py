"""Exact Shapley values by quadrature: down and up again through every tree, whatever its shape.

Let every feature be known with probability t, independently. Where a split's feature is known, the row takes its own
side, the hot one; where it is not, it takes either side with that side's share of the training data. The expected
value of the tree is then a polynomial in t, and the Shapley value of a feature is the integral over t of what knowing
it changes. With p the share of a split's first child, h one if that child is hot, else zero, and u = 1 - t,

    factor = h - (h - p) * u
    value(split) = value(second) + factor * (value(first) - value(second))
    contribution = integral of weight(split) * (h - p) * (value(first) - value(second))

where the weight is the product of the factors on the way, 1 - factor being the second child's. That holds where the
feature was not tested above. Where it was, and all its tests held, with r the product of the shares they led to, u
becomes u * r / (t + u * r), and the contribution is weighted by r / (t + u * r)^2. Where a test of it did not hold,
knowing it is no news any more: u becomes one, and the contribution zero.

On a path with k features the integrand has degree k - 1, and Gauss-Legendre quadrature with k / 2 nodes is exact. All
factors lie between 0 and 1, so nothing cancels.

The text is one loop over a list of steps, with one variable per quadrature node for the weight and one for the value:
variables of PL/pgSQL are twice as fast as elements of arrays, and a text that is short stays in the processor's cache.
On the way up, a weight is divided by the factor that it was multiplied with on the way down. The value of a split
between two leaves is a line in u, and takes part in its parent's arithmetic as one.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from trainer.compiler.code_generator import CodeGenerator
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.explanations.decisions import Decisions
from trainer.compiler.explanations.ensemble import Ensemble, WeightedTree
from trainer.compiler.explanations.loop import LoopWriter
from trainer.compiler.explanations.steps import SMALLEST_SHARE, Table
from trainer.compiler.nodes import SMALLEST_MAGNITUDE, Floats

# A difference of two values is no smaller, and a product has no more than two shares beside those on the path.
SMALLEST_DIFFERENCE = 2.0**-53 * SMALLEST_SHARE**2
MAXIMUM_CLASSES = 3

# Microseconds, on the server of `costs`.
SPLIT_COST = 0.27
NODE_COST = 0.31


def nodes_for(tree: WeightedTree) -> int:
    """Return the number of quadrature nodes that make the integrals of a tree exact: half its longest path's features.

    Raises `UnsupportedModelError` where a product could underflow, which is an error in PostgreSQL.
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
    leaves = np.abs(tree.values[tree.values != 0])
    smallest = math.log(weights.min() * SMALLEST_DIFFERENCE) + math.log(leaves.min(initial=1.0))
    for players, logarithm in paths:
        # Per feature, no factor is smaller than the product of its shares times the first position.
        if smallest + logarithm + players * math.log(positions[0]) < math.log(SMALLEST_MAGNITUDE):
            raise UnsupportedModelError(
                "A leaf was reached by too small a share of the training weight, or holds too small a value, to be"
                " explained; weigh the rows more evenly, or scale the target."
            )
    return nodes


def rule(nodes: int) -> tuple[Floats, Floats]:
    """Return the positions and the weights of Gauss-Legendre quadrature between 0 and 1."""
    positions, weights = np.polynomial.legendre.leggauss(nodes)
    return (positions + 1) / 2, weights / 2


def classes_of(ensemble: Ensemble) -> list[tuple[int, list[WeightedTree]]]:
    """Return the trees with splits in a few classes, each with the number of nodes that its largest tree needs.

    A class has a loop of its own: nodes that a tree does not need cost time, and loops cost memory.
    """
    needs = sorted(((nodes_for(tree), tree) for tree in ensemble.trees if tree.tree.splits), key=lambda need: need[0])
    sizes = sorted({nodes for nodes, _ in needs})
    choices = [
        [*chosen, sizes[-1]] for count in range(MAXIMUM_CLASSES) for chosen in combinations(sizes[:-1], count) if sizes
    ]

    def class_of(nodes: int, ends: Sequence[int]) -> int:
        return min(end for end in ends if end >= nodes)

    def total(ends: Sequence[int]) -> int:
        return sum(tree.tree.splits * class_of(nodes, ends) for nodes, tree in needs)

    ends = min(choices, key=total, default=[])
    return [(end, [tree for nodes, tree in needs if class_of(nodes, ends) == end]) for end in ends]


def cost(ensemble: Ensemble) -> float:
    """Return the expected microseconds of one row."""
    per_output = sum(
        tree.tree.splits * (SPLIT_COST + NODE_COST * nodes) for nodes, trees in classes_of(ensemble) for tree in trees
    )
    return ensemble.tree_outputs * per_output


def write(code: CodeGenerator, ensemble: Ensemble, decisions: Decisions) -> None:
    """Add the contributions of all trees to ``v_contributions``; the decisions are in ``v_decisions``."""
    for nodes, trees in classes_of(ensemble):
        positions, weights = rule(nodes)
        LoopWriter(code, Table(ensemble, decisions, trees), ensemble, positions.tolist(), weights.tolist()).write()
