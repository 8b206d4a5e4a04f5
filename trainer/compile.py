"""Stage compile: from a fitted model to the SQL that installs and registers it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from psycopg import sql

from trainer.artefact import ModelArgument, ModelFolder, find_model, load_joblib, refuse_released
from trainer.cli import AsJson
from trainer.compiler import CompileReport, compile_model
from trainer.errors import UserError
from trainer.sql import statement


def compile_folder(folder: ModelFolder) -> CompileReport:
    """Write ``score.sql`` and ``register.sql`` of a fitted model and return the sizes of what was compiled.

    The model card gets the hash of ``score.sql`` and the sizes. Raises ``UserError`` when the folder has no model, and
    ``UnsupportedModelError`` for a model that cannot be compiled exactly.
    """
    card = folder.card
    estimator = folder.load_estimator()
    names = list(card["feature_names"])
    compiled = compile_model(estimator, f"ml_generated.score_{folder.version}", names, revoke_from_public=True)
    score = compiled.sql + "\n" + _features_function(folder.version, names)
    folder.write_text("score.sql", score)

    card["version"] = folder.version
    card["artefact_sha256"] = hashlib.sha256(score.encode()).hexdigest()
    card["compiled"] = {
        name: value
        for name, value in asdict(compiled.report).items()
        if name not in ("algorithm", "features", "classes")
    }
    folder.write_json("model_card.json", card)
    folder.write_text("register.sql", _registration(folder, card))
    return compiled.report


def _features_function(version: str, feature_names: Sequence[str]) -> str:
    """Return the function that picks a model's features by name, in its order."""
    function = sql.Identifier("ml_generated", f"features_{version}")
    attributes = sql.SQL(",\n        ").join(
        sql.SQL("p_features.{}").format(sql.Identifier(name)) for name in feature_names
    )
    template = statement("features_function").decode()
    return sql.SQL(template).format(function=function, attributes=attributes).as_string(None)


def _registration(folder: ModelFolder, card: dict[str, Any]) -> str:
    """Return the INSERTs of the registry rows."""
    calibrator = folder.read_json("calibrator.json", "fit")
    evaluation = folder.read_json("evaluation.json", "evaluate")
    window = card["data_window"]
    values = {
        "version": folder.version,
        "algorithm": card["algorithm"],
        "classes": list(card["classes"]),
        "feature_names": list(card["feature_names"]),
        "artefact_sha256": card["artefact_sha256"],
        "card": json.dumps(card, ensure_ascii=False),
        "metrics": json.dumps(evaluation, ensure_ascii=False),
        "data_window": f"[{window['start']},{window['end']}]",
        "calibrator_version": f"{folder.version}-1",
        "method": calibrator["method"],
        "a": calibrator.get("a"),
        "b": calibrator.get("b"),
        "knots_x": calibrator.get("knots_x"),
        "knots_y": calibrator.get("knots_y"),
    }
    template = statement("register_model").decode()
    literals = {name: sql.Literal(value) for name, value in values.items()}
    return sql.SQL(template).format(**literals).as_string(None)


def compile_file(model: Path, function_name: str) -> str:
    """Return the SQL of anybody's own model in a joblib file: the helpers, then the function."""
    from trainer.compiler import export_to_postgres, runtime_sql

    if not model.is_file():
        raise UserError(f"There is no file {model}: give a model that joblib.dump has written.")
    loaded = load_joblib(model)
    if isinstance(loaded, type) or not hasattr(loaded, "predict"):
        kind = loaded.__name__ if isinstance(loaded, type) else type(loaded).__name__
        raise UserError(f"{model}: {kind} is not a model: dump the fitted estimator itself.")
    return runtime_sql() + "\n" + export_to_postgres(loaded, function_name)


def command(
    model: ModelArgument = None,
    function: Annotated[
        str | None,
        typer.Option(
            "--function",
            metavar="NAME",
            help="Compile any model in a .joblib file to a function of this name, and print the SQL. A joblib "
            "file runs code when it is loaded: use only files that you trust.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compile a fitted model to PL/pgSQL: score.sql and register.sql in its folder."""
    if function is not None:
        if model is None:
            raise UserError("Name the model's file: trainer compile MODEL.joblib --function NAME.")
        typer.echo(compile_file(Path(model), function))
        return
    folder = find_model(model)
    refuse_released(folder)
    report = compile_folder(folder)
    if as_json:
        typer.echo(json.dumps({"version": folder.version, "folder": str(folder.path), **asdict(report)}))
    else:
        typer.echo(f"{folder.version}  {describe(report)}\n{folder.path / 'score.sql'}")


def describe(report: CompileReport) -> str:
    """Return the sizes of a compiled model in a line."""
    size = f"{report.algorithm}, {len(report.features)} features, {report.sql_bytes / 1000:.0f} kB of SQL"
    if report.trees:
        size += f", {report.trees} trees with {report.leaves} leaves, at most {report.steps} splits per row"
    return size
