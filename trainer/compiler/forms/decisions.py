"""The text of one tree as a CASE expression: what the CASE form and the inlined form are made of."""

from collections.abc import Callable

from trainer.compiler import nodes
from trainer.compiler.code_generator import CodeGenerator

# Nested CASE expressions: PostgreSQL's parser is measured to take 2,000 and to fail at 4,000.
MAXIMUM_DEPTH = 1_000


def tree_text(
    code: CodeGenerator,
    tree: nodes.Tree,
    output: int,
    column: Callable[[int], str],
    *,
    may_be_missing: bool,
    single: bool,
) -> str:
    """Return the value of one output of a tree for the columns that ``column`` names.

    A missing value makes a test null, and null goes to ELSE: where missing values go left, the test is the opposite
    one and its branches change places. Columns hold NULL for a missing value, never NaN.
    """
    if tree.splits == 0:
        return code.number(tree.leaves[0, output], single=single)
    pieces: list[str] = []
    waiting: list[int | str] = [0]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            pieces.append(item)
        elif item < 0:
            pieces.append(code.untyped_number(float(tree.leaves[-1 - item, output])))
        else:
            swap = bool(tree.missing_left[item]) and may_be_missing
            test = _test(code, tree, item, column(int(tree.feature[item])), swap)
            then, otherwise = int(tree.left[item]), int(tree.right[item])
            if swap:
                then, otherwise = otherwise, then
            pieces.append(f"CASE WHEN {test} THEN ")
            waiting += [" END", otherwise, " ELSE "]
            if then < 0 and otherwise < 0:
                # Where both branches are leaves, one of them has to say what the CASE is.
                waiting.append(code.number(float(tree.leaves[-1 - then, output]), single=single))
            else:
                waiting.append(then)
    return "".join(pieces)


def _test(code: CodeGenerator, tree: nodes.Tree, split: int, column: str, swap: bool) -> str:
    if split in tree.breakpoints:
        return code.is_between_breakpoints(column, tree.breakpoints[split].tolist(), odd=swap)
    return code.operation(column, ">" if swap else "<=", code.untyped_number(float(tree.threshold[split])))
