"""The inlined form: an SQL function of one argument per feature, which PostgreSQL pulls into the calling statement.

Called for the columns of a set (``SELECT f(t.a, t.b) FROM t``) it costs no call per row, can run in parallel workers
and can be compiled by JIT. It holds only what almost every row needs: a row with a value that the model may refuse,
or with NaN, goes to the function that takes an array.
"""

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.code_generator import CodeGenerator
from trainer.compiler.forms.decisions import tree_text
from trainer.compiler.interpreter import PlpgsqlInterpreter

# A sum recurses in PostgreSQL's parser and planner, once per term.
MAXIMUM_TREES = 1_000


class LinkInterpreter(PlpgsqlInterpreter):
    """Writes what a model does with the sums of its trees, as the body of a function of these sums."""

    def link(self, expr: ast.Expr) -> str:
        """Return the function body for an AST without trees."""
        self._reset()
        self._give_vector(expr)
        return self._code.body()


def split_at_scores(expr: ast.Expr) -> tuple[list[nodes.TreeExpr], ast.Expr]:
    """Return the sums of trees of a folded AST and the AST of what is done with their values."""
    sums: list[nodes.TreeExpr] = []
    count = 0

    def replace(node: ast.Expr) -> ast.Expr:
        nonlocal count
        if not isinstance(node, nodes.TreeExpr):
            return node
        sums.append(node)
        count += node.output_size
        return nodes.GivenScores(count - node.output_size, node.output_size)

    return sums, nodes.rewrite(expr, replace)


def inline_text(sums: list[nodes.TreeExpr], features: int, fallback: str, link: str | None) -> str:
    """Return the body of the SQL function.

    ``fallback`` is the quoted name of the function of an array; ``link`` that of the function of the scores, or None
    where the scores are the result.
    """
    code = CodeGenerator()
    columns = [f"${number}" for number in range(1, features + 1)]
    scores = [text for expr in sums for text in _scores(code, expr)]
    result = code.array(f"\n    {text}" for text in scores)
    result = result if link is None else code.call(link, result)
    tests = list(dict.fromkeys(test for expr in sums for test in _suspicions(code, expr, columns)))
    return (
        f"\nSELECT CASE\n  WHEN {' OR '.join(tests)}\n"
        f"  THEN {code.call(fallback, code.array(columns))}\n  ELSE {result}\nEND\n"
    )


def _scores(code: CodeGenerator, expr: nodes.TreeExpr) -> list[str]:
    """Return the text of every output of a sum of trees."""
    if isinstance(expr, nodes.BoostedTreesExpr):
        groups, bases, output_of = expr.groups, expr.base.tolist(), [0] * expr.output_size
        single, divisor = expr.single, expr.divisor
    else:
        groups, bases = [expr.trees] * expr.output_size, [0.0] * expr.output_size
        output_of = list(range(expr.output_size))
        single, divisor = False, float(len(expr.trees))
    texts = []
    for trees, base, output in zip(groups, bases, output_of, strict=True):
        terms = [
            tree_text(
                code,
                tree,
                output,
                lambda place: f"${place + 1}",
                may_be_missing=expr.source.may_be_missing,
                single=single,
            )
            for tree in trees
        ]
        text = "\n      OPERATOR(pg_catalog.+) ".join([code.number(base, single=single), *terms])
        if divisor is not None:
            text = f"({text}) OPERATOR(pg_catalog./) {code.number(divisor, single=single)}"
        texts.append(code.as_float(text) if single else text)
    return texts


def _suspicions(code: CodeGenerator, expr: nodes.TreeExpr, columns: list[str]) -> list[str]:
    """Return tests of which one is true for every row that the expression does not give the right result for."""
    guard = expr.source if isinstance(expr.source, nodes.GuardedVector) else None
    highest = guard.highest.min() if guard else np.inf
    # NaN sorts above all numbers; GREATEST and LEAST pass over NULL.
    tests = [code.operation(code.call("GREATEST", *columns), ">", code.number(highest))]
    if guard and (lowest := guard.lowest.max()) > -np.inf:
        tests.append(code.operation(code.call("LEAST", *columns), "<", code.number(lowest)))
    if guard and not guard.missing_allowed.all():
        required = [column for column, allowed in zip(columns, guard.missing_allowed, strict=True) if not allowed]
        tests.append(code.operation(code.call("pg_catalog.num_nulls", *required), ">", "0"))
    for place, points in guard.known.items() if guard else ():
        tests.append(code.is_between_breakpoints(columns[place], points.tolist(), odd=False))
    return tests
