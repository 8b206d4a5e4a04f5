"""The CASE form: every tree is an expression. Cheapest for many rows of a transaction.

PL/pgSQL prepares an expression again in every transaction, at a cost proportional to its size; from then on a split
costs a seventh of what it costs in the walk.
"""

from typing import Any

from trainer.compiler import nodes
from trainer.compiler.code_generator import FLOAT, FLOATS, SINGLE
from trainer.compiler.forms.decisions import tree_text
from trainer.compiler.interpreter import PlpgsqlInterpreter

# So many trees are added in one statement: a longer sum would recurse too deeply in PostgreSQL's planner.
TREES_PER_STATEMENT = 500


class CaseInterpreter(PlpgsqlInterpreter):
    """Writes every tree as one CASE expression over scalar variables."""

    def _reset(self) -> None:
        super()._reset()
        self._scalars: dict[int, dict[int, str]] = {}

    def _needs_null(self, vectors: list[nodes.VectorNode]) -> bool:
        """Say whether anything tests for NULL: every tree does that a missing value can reach."""
        return super()._needs_null(vectors) or any(node.may_be_missing for node in vectors)

    def interpret_boosted_trees_expr(self, expr: nodes.BoostedTreesExpr, **_: Any) -> str:
        """Add up one CASE per tree, output by output."""
        code, single = self._code, expr.single
        results = []
        for base, trees in zip(expr.base.tolist(), expr.groups, strict=True):
            score = self._fresh("v_score", SINGLE if single else FLOAT)
            self._sum(expr, score, trees, 0, base=base, single=single)
            if expr.divisor is not None:
                code.assign(score, code.operation(score, "/", code.number(expr.divisor, single=single)))
            results.append(code.as_float(score) if single else score)
        return self._result(results)

    def interpret_averaged_trees_expr(self, expr: nodes.AveragedTreesExpr, **_: Any) -> str:
        """Add up one CASE per tree and output, then divide by the number of trees."""
        code = self._code
        results = []
        for output in range(expr.output_size):
            score = self._fresh("v_score", FLOAT)
            self._sum(expr, score, expr.trees, output, base=0.0, single=False)
            results.append(code.operation(score, "/", code.number(len(expr.trees))))
        return self._result(results)

    def _result(self, results: list[str]) -> str:
        if len(results) == 1:
            return results[0]
        scores = self._fresh("v_scores", FLOATS)
        self._code.assign(scores, self._code.array(results))
        return scores

    def _sum(
        self, expr: nodes.TreeExpr, score: str, trees: list[nodes.Tree], output: int, *, base: float, single: bool
    ) -> None:
        """Assign ``base`` plus all trees to ``score``, a line for every tree."""
        code = self._code
        scalars = self._scalars_of(expr)
        code.assign(score, code.number(base, single=single))
        for start in range(0, len(trees), TREES_PER_STATEMENT):
            code.line(f"{score} := {score}")
            for tree in trees[start : start + TREES_PER_STATEMENT]:
                text = tree_text(
                    code, tree, output, scalars.__getitem__, may_be_missing=expr.source.may_be_missing, single=single
                )
                code.line(f"  OPERATOR(pg_catalog.+) {text}")
            code.line(";")

    def _scalars_of(self, expr: nodes.TreeExpr) -> dict[int, str]:
        """Give a scalar variable for each column that a tree reads; an array's element costs more to read."""
        code = self._code
        columns = self._array(expr.source)
        known = self._scalars.setdefault(id(expr.source), {})
        for place in sorted({int(place) for tree in expr.trees for place in tree.feature} - known.keys()):
            known[place] = self._fresh("v_column", FLOAT)
            code.assign(known[place], code.element(columns, place + 1))
        return known
