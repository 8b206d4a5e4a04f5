"""The cheap attribution: along the path that a row takes, each change of the node's mean goes to the feature tested."""

import numpy as np

from trainer.compiler.code_generator import INTEGER, CodeGenerator
from trainer.compiler.costs import visited_splits
from trainer.compiler.explanations.decisions import Decisions
from trainer.compiler.explanations.ensemble import Ensemble
from trainer.compiler.nodes import Floats

# Microseconds per visited split, on the server of `costs`.
STEP_COST = 0.24


def cost(ensemble: Ensemble) -> float:
    """Return the expected microseconds of one row."""
    return ensemble.tree_outputs * STEP_COST * visited_splits([tree.tree for tree in ensemble.trees])


def write(code: CodeGenerator, ensemble: Ensemble, decisions: Decisions) -> None:
    """Add the changes of all trees to ``v_contributions``; the decisions are in ``v_decisions``.

    Splits are numbered from 1; edge 2 n - 1 leads from split n to its left child, edge 2 n to its right one. The
    constant arrays are written where they are read: as variables they would be copied at every call.
    """
    trees = [tree for tree in ensemble.trees if tree.tree.splits]
    outputs, width = ensemble.tree_outputs, ensemble.features + 1
    roots = np.cumsum([1] + [tree.tree.splits for tree in trees])
    places = [decisions.places[test] for tree in trees for test in tree.tests]
    targets = np.concatenate([tree.first_output * width + tree.tree.feature + 1 for tree in trees])
    children: list[int] = []
    changes: list[Floats] = []
    for tree, root in zip(trees, roots.tolist(), strict=False):
        for place in range(tree.tree.splits):
            for child in tree.children(place):
                children.append(child + root if child >= 0 else 0)
                changes.append(tree.mean(child) - tree.mean(place))
    split, edge = code.declare("v_split", INTEGER), code.declare("v_edge", INTEGER)
    target = code.element(code.integers(targets), split)
    change = edge
    if outputs > 1:
        code.open(f"FOR v_output IN 0..{outputs - 1} LOOP")
        target = code.operation(target, "+", code.operation("v_output", "*", str(width)))
        change = code.operation(edge, "+", code.operation("v_output", "*", str(len(children))))
    code.open_each(split, code.integers(roots[:-1]))
    code.open_while(code.operation(split, ">", "0"))
    goes_right = code.call("pg_catalog.get_byte", "v_decisions", code.element(code.integers(places), split))
    before = code.operation(code.operation(split, "*", "2"), "-", "1")
    code.assign(edge, code.operation(before, "+", goes_right))
    contribution = code.element("v_contributions", target)
    values = code.numbers(value for column in np.array(changes).T for value in column)
    code.assign(contribution, code.operation(contribution, "+", code.element(values, change)))
    code.assign(split, code.element(code.integers(children), edge))
    code.close("LOOP")
    code.close("LOOP")
    if outputs > 1:
        code.close("LOOP")
