"""Stage compile: from a fitted model to the SQL that installs and registers it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from psycopg import sql

from trainer.artefact import ModelArgument, ModelFolder, find_model, load_joblib, refuse_released
from trainer.cli import AsJson
from trainer.compiler import (
    CompiledModel,
    CompileReport,
    Form,
    UnsupportedModelError,
    compile_model,
    explanation_cost,
    export_explanation,
    export_path_attribution,
    runtime_sql,
)
from trainer.compiler.code_generator import quote_function_name
from trainer.errors import UserError
from trainer.model_card import save_card
from trainer.sql import statement

# Microseconds that an INSERT may spend on saying which features moved its score.
EXPLANATION_BUDGET = 250.0


def compile_folder(folder: ModelFolder) -> CompileReport:
    """Write ``score.sql`` and ``register.sql`` of a fitted model and return the sizes of what was compiled.

    ``score.sql`` holds the score function in its forms, the explanation, and the function that picks the model's
    features. The model card gets the hash of ``score.sql`` and the sizes. Raises ``UserError`` when the folder has no
    model, and ``UnsupportedModelError`` for a model that cannot be compiled exactly.
    """
    card = folder.card
    estimator = folder.load_estimator()
    names = list(card["feature_names"])
    version = folder.version
    compiled = compile_model(estimator, f"ml_generated.score_{version}", names, set_based=True, revoke_from_public=True)
    explanation, card["explanation"] = _explanation(estimator, version, names)
    score = "\n".join([compiled.sql, *explanation, _features_function(version, names)])
    folder.write_text("score.sql", score)

    card["version"] = version
    card["artefact_sha256"] = hashlib.sha256(score.encode()).hexdigest()
    card["compiled"] = {
        name: value
        for name, value in asdict(compiled.report).items()
        if name not in ("algorithm", "features", "classes")
    }
    save_card(folder, card)
    folder.write_text("register.sql", _registration(folder, card))
    return compiled.report


def _explanation(estimator: Any, version: str, names: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the SQL of the explanation functions and what the card says about them.

    The log of predictions takes the exact contributions where an INSERT can afford them, else the path attribution.
    """
    function = f"ml_generated.explain_{version}"
    try:
        exact = [export_explanation(estimator, function, names, revoke_from_public=True)]
        cost = round(explanation_cost(estimator))
        if cost <= EXPLANATION_BUDGET:
            return exact, {"logged": "exact", "expected_microseconds": cost}
        said = {"logged": "path", "expected_microseconds": cost}
    except UnsupportedModelError as error:
        exact, said = [], {"logged": "path", "no_exact_explanation": str(error)}
    function = f"ml_generated.attribute_{version}"
    try:
        return [*exact, export_path_attribution(estimator, function, names, revoke_from_public=True)], said
    except UnsupportedModelError as error:
        return [], {"logged": None, "no_explanation": str(error)}


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


def compile_file(
    model: Path,
    function_name: str,
    *,
    form: Form = "auto",
    set_based: bool = False,
    row_type: str | None = None,
    explain: bool = False,
) -> CompiledModel:
    """Return the SQL of anybody's own model in a joblib file: the helpers, then the functions.

    With ``explain`` there is also ``<function>_explain``, which gives the contribution of each feature.
    """
    if not model.is_file():
        raise UserError(f"There is no file {model}: give a model that joblib.dump has written.")
    loaded = load_joblib(model)
    if isinstance(loaded, type) or not hasattr(loaded, "predict"):
        kind = loaded.__name__ if isinstance(loaded, type) else type(loaded).__name__
        raise UserError(f"{model}: {kind} is not a model: dump the fitted estimator itself.")
    compiled = compile_model(loaded, function_name, form=form, set_based=set_based, row_type=row_type)
    texts, functions = [compiled.sql], list(compiled.report.functions)
    if explain:
        name = f"{function_name}_explain"
        texts.append(export_explanation(loaded, name))
        functions.append(f"{quote_function_name(name)}(double precision[])")
    size = sum(len(text.encode()) for text in texts)
    report = replace(compiled.report, functions=tuple(functions), sql_bytes=size)
    return CompiledModel("\n".join([runtime_sql(), *texts]), report)


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
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="With --function: write the SQL to a file.", show_default=False),
    ] = None,
    form: Annotated[
        Form,
        typer.Option("--form", help="With --function: how trees are written; all forms give the same numbers."),
    ] = "auto",
    set_based: Annotated[
        bool,
        typer.Option(
            "--set-based", help="With --function: add NAME_columns, one argument per feature, for whole tables."
        ),
    ] = False,
    row_type: Annotated[
        str | None,
        typer.Option(
            "--row-type",
            metavar="TYPE",
            help="With --function: add a function of a row of this composite type or table.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="With --function: add NAME_explain, the contribution of each feature.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compile a fitted model to PL/pgSQL: one of this project, or with --function anybody's own.

    Without --function, score.sql and register.sql are written into the folder of a model that `trainer fit` has made.
    """
    if function is not None:
        if model is None:
            raise UserError("Name the model's file: trainer compile MODEL.joblib --function NAME.")
        compiled = compile_file(
            Path(model), function, form=form, set_based=set_based, row_type=row_type, explain=explain
        )
        if output is None:
            typer.echo(compiled.sql)
        else:
            try:
                output.write_text(compiled.sql, encoding="utf-8")
            except OSError as error:
                raise UserError(
                    f"{output} cannot be written: {error.strerror}; name a file in a folder of yours."
                ) from error
        # Standard output is the SQL, unless that went to a file.
        text = json.dumps(asdict(compiled.report)) if as_json else describe(compiled.report)
        typer.echo(text, err=output is None)
        return
    if output or set_based or row_type or explain or form != "auto":
        raise UserError("--output, --form, --set-based, --row-type and --explain go with --function NAME.")
    if model is not None and Path(model).is_file():
        raise UserError(f"{model} is a file: say with --function SCHEMA.NAME what its function is to be called.")
    folder = find_model(model)
    refuse_released(folder)
    report = compile_folder(folder)
    if as_json:
        typer.echo(json.dumps({"version": folder.version, "folder": str(folder.path), **asdict(report)}))
    else:
        typer.echo(f"{folder.version}  {describe(report)}\n{folder.path / 'score.sql'}")


def describe(report: CompileReport) -> str:
    """Return size, form and expected costs of a compiled model, a line each."""
    size = f"{report.algorithm}, {len(report.features)} features, {report.sql_bytes / 1000:,.0f} kB of SQL"
    if report.trees:
        size += f", {report.trees:,} trees with {report.leaves:,} leaves, at most {report.steps:,} splits per row"
    if report.weights:
        size += f", {report.weights:,} weights of neural networks"
    lines = [size, *(f"creates {_short(function)}" for function in report.functions)]
    if report.trees or report.weights:
        lines.append("expected      first call   one row  row of many    memory")
        lines += [
            f"  {name:<10}{costs.first_call / 1000:>9.1f} ms{costs.one_row:>7,.0f} us{costs.row_of_many:>10,.1f} us"
            f"{costs.memory_bytes / 1e6:>7.1f} MB"
            for name, costs in report.costs.items()
        ]
    if report.transaction_rows is not None:
        lines.append(
            f"walks for the first {report.transaction_rows} rows of a transaction and {report.session_rows:,} of a"
            " session, then CASE"
        )
    return "\n".join([*lines, *report.notes])


def _short(signature: str) -> str:
    """Return a signature in which many parameters of one type are counted."""
    name, _, types = signature.rpartition("(")
    parameters = types.rstrip(")").split(", ")
    return signature if len(parameters) < 4 else f"{name}({len(parameters)} x {parameters[0]})"
