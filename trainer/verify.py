"""Stage verify: prove that the compiled model gives the library's own numbers in the target database.

The function is loaded in a transaction that is rolled back, so that nothing is left behind, and is given rows on which
a wrong translation shows: training rows, rows on the thresholds and one bit beside them, missing values, extremes.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import psycopg
import psycopg.sql
import typer
from numpy.typing import NDArray

from trainer.artefact import ModelArgument, ModelFolder, find_model, refuse_released
from trainer.cli import AsJson, DatabaseUrl
from trainer.compiler import assemble, nodes
from trainer.compiler.folding import fold
from trainer.database import connect, resolve_url
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.progress import Progress, no_progress, progress_bar
from trainer.sql import statement

Rows = NDArray[np.float64]

TOLERANCE = 1e-12  # every family that computes in float64
SINGLE_TOLERANCE = 1e-6  # XGBoost, which computes in float32
_THRESHOLD_ROWS = 6000
_SEED = 20240229


class _Undo(Exception):  # noqa: N818  not an error: it ends the transaction that must leave nothing behind
    """Ends the transaction of a verification."""


def verify(
    connection: psycopg.Connection[Any],
    folder: ModelFolder,
    training_rows: Rows,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Compare the compiled model with the library in the target database and write ``parity.json``.

    ``training_rows`` has shape (rows, features), NaN where missing, in the order of the card's feature list. Returns
    the figures. Raises ``UserError`` when a probability differs by more than the family's tolerance, or when the
    function of columns differs from the function of an array in a single bit.
    """
    require_schema(connection)
    card = folder.card
    estimator = _on_one_thread(folder.load_estimator())
    score = folder.read_text("score.sql", "compile")
    cases = generate_rows(estimator, training_rows)
    tolerance = tolerance_of(estimator)
    names = card["feature_names"]
    golden = np.array([[row["features"][name] for name in names] for row in card["golden_rows"]], dtype=np.float64)
    cases = {"golden": golden, **cases}

    figures: dict[str, Any] = {}
    try:
        with connection.transaction():
            connection.execute(score.encode())
            for done, (name, rows) in enumerate(cases.items()):
                progress(f"verify {name} rows", done, len(cases))
                expected = estimator.predict_proba(rows)
                actual, by_columns = _score_in_database(connection, folder.version, rows, expected.shape[1])
                figures[name] = _compare(expected, actual, tolerance)
                figures[name]["rows_that_forms_disagree_on"] = int(np.sum((actual != by_columns).any(axis=1)))
            version = connection.execute("SHOW server_version").fetchone()
            raise _Undo
    except _Undo:
        pass
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.Error as error:
        raise UserError(
            f"The compiled model {folder.version} failed in the database: {error.diag.message_primary or error}."
        ) from error

    rows_total = sum(figure["rows"] for figure in figures.values())
    values_total = sum(figure["values"] for figure in figures.values())
    parity = {
        "artefact_sha256": card["artefact_sha256"],
        "server_version": version[0] if version else None,
        "tolerance": tolerance,
        "rows": rows_total,
        "rows_beyond_tolerance": sum(figure["rows_beyond_tolerance"] for figure in figures.values()),
        "rows_that_forms_disagree_on": sum(figure["rows_that_forms_disagree_on"] for figure in figures.values()),
        "max_difference": max(figure["max_difference"] for figure in figures.values()),
        "bit_equal_share": sum(figure["bit_equal_values"] for figure in figures.values()) / values_total,
        "cases": figures,
    }
    folder.write_json("parity.json", parity)
    if parity["rows_beyond_tolerance"]:
        worst = max(figures, key=lambda name: figures[name]["max_difference"])
        raise UserError(
            f"{folder.version} is not equal to its library: {parity['rows_beyond_tolerance']} of {rows_total} rows "
            f"differ by more than {tolerance:g} (worst: {worst} rows, {figures[worst]['max_difference']:g}); "
            "it must not be deployed."
        )
    if parity["rows_that_forms_disagree_on"]:
        raise UserError(
            f"{folder.version} scores {parity['rows_that_forms_disagree_on']} of {rows_total} rows differently one by "
            "one and as a set; it must not be deployed."
        )
    return parity


def _on_one_thread(estimator: Any) -> Any:
    """Return the estimator with all its n_jobs at 1: threads add trees up in any order."""
    return estimator.set_params(**{name: 1 for name in estimator.get_params() if name.endswith("n_jobs")})


def tolerance_of(estimator: Any) -> float:
    """Return the largest difference of a probability that is no fault of the translation."""
    sums = [node for node in nodes.walk(assemble(estimator)) if isinstance(node, nodes.BoostedTreesExpr)]
    return SINGLE_TOLERANCE if any(node.single for node in sums) else TOLERANCE


def generate_rows(estimator: Any, training_rows: Rows) -> dict[str, Rows]:
    """Return rows to compare, by kind: each of shape (rows, features).

    Rows on thresholds set one feature of a training row to a threshold of the model, or to its neighbours in float64.
    """
    generator = np.random.default_rng(_SEED)
    columns = training_rows.shape[1]

    def sample(size: int) -> Rows:
        return training_rows[generator.integers(len(training_rows), size=size)].copy()

    holes = sample(1000)
    holes[generator.random(holes.shape) < generator.random((len(holes), 1))] = np.nan
    extremes = sample(600)
    values = np.array([0.0, -0.0, 5e-324, -5e-324, 1e-300, 1e15, -1e15])
    mask = generator.random(extremes.shape) < 0.1
    extremes[mask] = generator.choice(values, size=int(mask.sum()))
    cases = {
        "training": training_rows,
        "missing": np.vstack([holes, np.full((1, columns), np.nan)]),
        "extreme": extremes,
    }

    splits = [
        (int(feature), float(point))
        for node in nodes.walk(fold(assemble(estimator)))
        if isinstance(node, nodes.TreeExpr)
        for tree in node.trees
        for split, feature in enumerate(tree.feature)
        for point in tree.breakpoints.get(split, tree.threshold[split : split + 1])
        if np.isfinite(point)
    ]
    if splits:
        chosen = [splits[place] for place in generator.permutation(len(splits))[: _THRESHOLD_ROWS // 3]]
        rows = sample(3 * len(chosen))
        for place, (feature, threshold) in enumerate(chosen):
            rows[3 * place, feature] = np.nextafter(threshold, -np.inf)
            rows[3 * place + 1, feature] = threshold
            rows[3 * place + 2, feature] = np.nextafter(threshold, np.inf)
        cases["threshold"] = rows
    codes = sample(600)
    mask = generator.random(codes.shape) < 0.1
    # Small whole numbers, and numbers between them, are categories that a model may never have seen.
    codes[mask] = generator.integers(-3, 40, size=int(mask.sum())) / generator.choice(
        [1.0, 1.0, 2.0], size=int(mask.sum())
    )
    cases["codes"] = codes
    return cases


def _score_in_database(
    connection: psycopg.Connection[Any], version: str, rows: Rows, outputs: int
) -> tuple[Rows, Rows]:
    """Return the scores of the function of an array and of the function of columns."""
    connection.execute(statement("create_parity_rows"))
    with connection.cursor() as cursor:
        with cursor.copy(b"COPY pg_temp.parity_rows (place, features) FROM STDIN") as copy:
            for place, row in enumerate(rows.tolist()):
                copy.write_row((place, [None if value != value else value for value in row]))
        columns = psycopg.sql.SQL(", ").join(
            psycopg.sql.SQL("features[{}]").format(number) for number in range(1, rows.shape[1] + 1)
        )
        query = psycopg.sql.SQL(statement("parity_scores").decode()).format(
            score=psycopg.sql.Identifier("ml_generated", f"score_{version}"),
            score_columns=psycopg.sql.Identifier("ml_generated", f"score_{version}_columns"),
            columns=columns,
        )
        scores = cursor.execute(query).fetchall()
    connection.execute(b"DROP TABLE pg_temp.parity_rows")
    if any(score is None or len(score) != outputs for row in scores for score in row):
        raise UserError(f"The compiled model {version} does not return {outputs} values for every row.")
    first, second = (np.array([row[form] for row in scores], dtype=np.float64) for form in (0, 1))
    return first, second


def _compare(expected: Rows, actual: Rows, tolerance: float) -> dict[str, Any]:
    difference = np.abs(expected - actual)
    return {
        "rows": len(expected),
        "values": int(expected.size),
        "bit_equal_values": int(np.sum(expected == actual)),
        "max_difference": float(difference.max(initial=0.0)),
        # A NaN anywhere counts as a difference.
        "rows_beyond_tolerance": int(np.sum(~(difference <= tolerance).all(axis=1))),
    }


def command(model: ModelArgument = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Compare a compiled model with its library, in the database; nothing is left behind."""
    from trainer.dataset import load_dataset

    folder = find_model(model)
    refuse_released(folder)
    with (
        connect(resolve_url(database_url), autocommit=True) as connection,
        progress_bar("kinds", "reading events") as progress,
    ):
        parity = verify(connection, folder, load_dataset(connection).features, progress)
    if as_json:
        typer.echo(json.dumps(parity))
        return
    typer.echo(f"{folder.version}  on PostgreSQL {parity['server_version']}")
    for name, figure in parity["cases"].items():
        typer.echo(f"{name:<10}{describe(figure)}")
    typer.echo(f"{'all':<10}{describe(parity)}")


def describe(figure: dict[str, Any]) -> str:
    """Return the figures of a comparison in a line."""
    equal = figure.get("bit_equal_share", figure.get("bit_equal_values", 0) / max(1, figure.get("values", 1)))
    return (
        f"{figure['rows']:>6,} rows, {equal:7.2%} bit-equal, off by <= {figure['max_difference']:.1e}, "
        f"too far off: {figure['rows_beyond_tolerance']}"
    )
