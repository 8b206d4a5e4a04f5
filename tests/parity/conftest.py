"""What parity tests share: a function that scores rows in the database."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pglast
import psycopg
import pytest
from agreement import predicted
from pglast import ast

from trainer.compiler import export_to_postgres, runtime_sql


class Scorer:
    """Installs compiled models in one database and calls them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        connection.execute(runtime_sql())
        connection.execute("CREATE TABLE row_to_score (id integer PRIMARY KEY, features float8[])")

    def install(self, model: Any) -> None:
        text = export_to_postgres(model, "public.score")
        # Whatever the model, its text is these statements and no others.
        assert {type(statement.stmt) for statement in pglast.parse_sql(text)} == {
            ast.CreateFunctionStmt,
            ast.CommentStmt,
        }
        self.connection.execute(text)

    def rows(self, rows: Any) -> np.ndarray:
        """Score rows with the installed model; None and NaN in ``rows`` stay what they are."""
        self.connection.execute("TRUNCATE row_to_score")
        with self.connection.cursor().copy("COPY row_to_score FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row((number, [None if value is None else float(value) for value in row]))
        scored = self.connection.execute("SELECT score(features) FROM row_to_score ORDER BY id").fetchall()
        return np.array([row[0] for row in scored], dtype=float)

    def model(self, model: Any, rows: np.ndarray) -> np.ndarray:
        self.install(model)
        # NULL and NaN both mean missing: give half of the rows one, half the other.
        return self.rows(
            [[None if np.isnan(value) and number % 2 else value for value in row] for number, row in enumerate(rows)]
        )


@pytest.fixture
def scorer(empty_db: psycopg.Connection[Any]) -> Scorer:
    return Scorer(empty_db)


@pytest.fixture
def assert_bit_equal(scorer: Scorer) -> Callable[[Any, np.ndarray], None]:
    """Return a check that the compiled model gives the library's own numbers, every bit."""

    def check(model: Any, rows: np.ndarray) -> None:
        expected = predicted(model, rows)
        got = scorer.model(model, rows)
        different = np.flatnonzero((got != expected).any(axis=1))
        assert got.shape == expected.shape
        assert len(different) == 0, f"{len(different)} of {len(rows)} rows differ, first {different[:5]}"

    return check


@pytest.fixture
def assert_close(scorer: Scorer) -> Callable[[Any, np.ndarray, float], None]:
    """Return a check with an absolute tolerance, for families whose sums or exponentials vary."""

    def check(model: Any, rows: np.ndarray, tolerance: float) -> None:
        expected = predicted(model, rows)
        got = scorer.model(model, rows)
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() <= tolerance

    return check
