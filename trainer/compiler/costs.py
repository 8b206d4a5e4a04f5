"""What a compiled model costs, estimated from its size: the base of the choice between forms.

The figures were measured with PostgreSQL 15 on one core of a server of 2023 (tests/benchmarks/compiled_models.py);
another machine scales them all, which leaves the choice as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.compiler import nodes

CALL = 3.0  # microseconds for everything but trees, sums and layers
WALK_STEP = 0.13  # per visited split
CASE_STEP = 0.02
CASE_START = 0.15  # per split and transaction
WALK_READING = 1.6  # per split and session
CASE_READING = 12.0
WALK_BYTES = 440  # of memory per split and session
CASE_BYTES = 3_200
LINEAR_STEP = 0.2  # per coefficient
WEIGHT_STEP = 0.035  # per weight of a neural network
WEIGHT_READING = 0.2  # per weight and session
WEIGHT_BYTES = 75
UNIT_STEP = 0.5
INPUT_STEP = 0.13  # per input of a layer
INPUT_START = 0.6  # per input of a layer and transaction
INPUT_READING = 50.0  # per input of a layer and session
INPUT_BYTES = 20_000
# A path is rarely the longest one.
USUAL_SHARE_OF_DEPTH = 0.6


@dataclass(frozen=True)
class Costs:
    """Expected microseconds of a form: of the first call in a session, of one row and of many; and its memory."""

    first_call: float
    one_row: float
    row_of_many: float
    memory_bytes: int

    def plus(self, other: "Costs") -> "Costs":
        """Return the costs of both in one function."""
        return Costs(
            self.first_call + other.first_call,
            self.one_row + other.one_row,
            self.row_of_many + other.row_of_many,
            self.memory_bytes + other.memory_bytes,
        )


def visited_splits(trees: Sequence[nodes.Tree]) -> float:
    """Return the number of splits that an average row visits, from the covers where they are known."""
    return float(sum(_visited(tree) for tree in trees))


def _visited(tree: nodes.Tree) -> float:
    if tree.splits == 0:
        return 0.0
    if tree.split_cover is None or not tree.split_cover[0] > 0:
        return tree.depth * USUAL_SHARE_OF_DEPTH
    return float(np.sum(tree.split_cover) / tree.split_cover[0])


def walk_costs(splits: int, visited: float) -> Costs:
    """Return the costs of the walk."""
    row = CALL + visited * WALK_STEP
    return Costs(row + splits * WALK_READING, row, row, splits * WALK_BYTES)


def case_costs(splits: int, visited: float) -> Costs:
    """Return the costs of the CASE form; ``splits`` counts a split once for each output that it is written for."""
    row = CALL + visited * CASE_STEP
    one = row + splits * CASE_START
    return Costs(one + splits * CASE_READING, one, row, splits * CASE_BYTES)


def linear_costs(scores: Sequence[nodes.LinearExpr]) -> Costs:
    """Return what linear scores add to the costs of a function."""
    row = LINEAR_STEP * sum(score.coefficients.size for score in scores)
    return Costs(row, row, row, 0)


def layer_costs(layers: Sequence[nodes.DenseExpr]) -> Costs:
    """Return what the layers of neural networks add to the costs of a function."""
    weights = sum(layer.weights.size for layer in layers)
    inputs = sum(len(layer.weights) for layer in layers)
    units = sum(layer.output_size for layer in layers)
    row = weights * WEIGHT_STEP + units * UNIT_STEP + inputs * INPUT_STEP
    one = row + inputs * INPUT_START
    first = one + weights * WEIGHT_READING + inputs * INPUT_READING
    return Costs(first, one, row, weights * WEIGHT_BYTES + inputs * INPUT_BYTES)


def rows_that_pay(price: float, walk: Costs, case: Costs) -> int:
    """Return the number of rows after which walking has cost ``price`` more than the CASE form."""
    gain = walk.row_of_many - case.row_of_many
    return int(np.ceil(price / gain)) if gain > 0 else 2**30
