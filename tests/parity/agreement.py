"""The library, the AST, the AST with its transformers folded into the trees, and PostgreSQL: all give the same."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from m2cgen import ast
from sklearn.base import is_classifier

from trainer.compiler import assemble, export_to_postgres, nodes
from trainer.compiler.folding import fold
from trainer.compiler.reference import RefusedRowError, evaluate

Outcomes = list[np.ndarray | None]  # None for a row that is refused

# The evaluator in Python is slow: it gets this many rows, taken evenly.
EVALUATED_ROWS = 70

CATCH_REFUSAL = """
CREATE FUNCTION score_unless_refused(p_features float8[]) RETURNS float8[] LANGUAGE plpgsql AS $$
BEGIN
  RETURN score(p_features);
EXCEPTION WHEN invalid_parameter_value THEN
  RETURN NULL;
END
$$
"""


def predicted(model: Any, rows: np.ndarray) -> np.ndarray:
    """Return what the library says, as the compiled function returns it."""
    with np.errstate(all="ignore"):
        return model.predict_proba(rows) if is_classifier(model) else model.predict(rows).reshape(-1, 1)


def assert_agreement(scorer: Any, model: Any, rows: np.ndarray, tolerance: float = 0.0, **settings: Any) -> None:
    """Check probabilities, or numbers, and which rows are refused; ``settings`` go to the export."""
    expected = by_library(model, rows)
    assert any(outcome is not None for outcome in expected)
    compare("in PostgreSQL", by_database(scorer, model, rows, **settings), expected, tolerance)
    chosen = range(0, len(rows), -(-len(rows) // EVALUATED_ROWS))
    expr = assemble(model)
    for name, tree in (("of the AST", expr), ("of the folded AST", fold(expr))):
        got = by_evaluator(tree, rows[chosen])
        compare(name, got, [expected[row] for row in chosen], tolerance)


def compare(name: str, got: Outcomes, expected: Outcomes, tolerance: float) -> None:
    assert len(got) == len(expected)
    refused = [(one is None, other is None) for one, other in zip(got, expected, strict=True)]
    wrong = [number for number, (one, other) in enumerate(refused) if one != other]
    assert not wrong, f"{len(wrong)} rows {name} are refused wrongly or not at all, first {wrong[:5]}"
    pairs = [(one, other) for one, other in zip(got, expected, strict=True) if one is not None]
    differences = np.array([np.abs(one - other).max() for one, other in pairs])
    assert differences.max() <= tolerance, f"{(differences > tolerance).sum()} of {len(pairs)} rows {name} differ"


def by_library(model: Any, rows: np.ndarray) -> Outcomes:
    """Ask for all rows, and where one of them is refused, for ever smaller parts."""
    try:
        return list(predicted(model, rows))
    except ValueError:
        if len(rows) == 1:
            return [None]
        middle = len(rows) // 2
        return by_library(model, rows[:middle]) + by_library(model, rows[middle:])


def by_evaluator(expr: ast.Expr, rows: np.ndarray) -> Outcomes:
    outcomes: Outcomes = []
    for row in rows.tolist():
        try:
            outcomes.append(np.array(evaluate(expr, row)))
        except RefusedRowError:
            outcomes.append(None)
    return outcomes


def by_database(scorer: Any, model: Any, rows: np.ndarray, **settings: Any) -> Outcomes:
    """Score rows with a compiled model; half of the missing values are NULL, half NaN."""
    execute = scorer.connection.execute
    execute("DROP FUNCTION IF EXISTS score_unless_refused")
    execute(export_to_postgres(model, "public.score", **settings))
    execute(CATCH_REFUSAL)
    fill(scorer, [[None if np.isnan(v) and number % 2 else v for v in row] for number, row in enumerate(rows.tolist())])
    arguments = ", ".join(f"features[{place}]" for place in range(1, rows.shape[1] + 1))
    call = f"score_columns({arguments})" if settings.get("set_based") else "score_unless_refused(features)"
    found = execute(f"SELECT {call} FROM row_to_score ORDER BY id").fetchall()
    return [None if row[0] is None else np.array(row[0], dtype=float) for row in found]


def fill(scorer: Any, rows: Iterable[list[float | None]]) -> None:
    """Put ``rows`` into the table, numbered from 0."""
    scorer.connection.execute("TRUNCATE row_to_score")
    with scorer.connection.cursor().copy("COPY row_to_score FROM STDIN") as copy:
        for pair in enumerate(rows):
            copy.write_row(pair)


def raw_thresholds(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature and the threshold of every split once transformers are folded into it, sets included."""
    trees = [
        tree for node in nodes.walk(fold(assemble(model))) if isinstance(node, nodes.TreeExpr) for tree in node.trees
    ]
    pairs = [
        (feature, value)
        for tree in trees
        for split, feature in enumerate(tree.feature)
        for value in tree.breakpoints.get(split, [tree.threshold[split]])
    ]
    features, values = zip(*pairs, strict=True)
    return np.array(features), np.array(values)


def stack(*parts: Iterable[Iterable[float]]) -> np.ndarray:
    """Return the rows of all parts."""
    return np.concatenate([np.asarray(part, dtype=float) for part in parts])
