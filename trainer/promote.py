"""Stages promote and rollback: one SQL call each; the database checks, switches and records."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import psycopg
import typer

from trainer.artefact import ModelArgument, find_model
from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url, sentence_of
from trainer.deploy import require_schema
from trainer.errors import UserError

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept in ml_deployments.")]


def champion(connection: psycopg.Connection[Any]) -> str | None:
    """Return the version that is live, or None."""
    row = connection.execute("SELECT version FROM public.ml_aliases WHERE alias = 'champion'").fetchone()
    return row[0] if row else None


def promote(
    connection: psycopg.Connection[Any],
    version: str,
    expected_champion: str | None,
    reason: str,
    force: bool = False,
) -> dict[str, Any]:
    """Make a version the champion; a refusal by the database is a UserError with its sentence."""
    return _call(connection, "SELECT ml.promote(%s, %s, %s, %s)", (version, expected_champion, reason, force))


def rollback(connection: psycopg.Connection[Any], reason: str, version: str | None = None) -> dict[str, Any]:
    """Make the previous champion, or the version named, live again."""
    return _call(connection, "SELECT ml.rollback(%s, %s)", (reason, version))


def promote_command(
    model: ModelArgument = None,
    reason: Reason = "trainer promote",
    expected_champion: Annotated[
        str | None,
        typer.Option(
            "--expect",
            metavar="VERSION",
            help="Fail unless this version is the champion now; default: whichever is when the command starts.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Promote even when a gate fails.")] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a deployed model the champion."""
    with connect(resolve_url(database_url), autocommit=True) as connection:
        require_schema(connection)
        version = _registered(connection, model)
        result = promote(connection, version, expected_champion or champion(connection), reason, force)
    if as_json:
        typer.echo(json.dumps(result))
        return
    for gate in result["gates"]:
        typer.echo(describe_gate(gate))
    if result["changed"]:
        typer.echo(f"{version} is the champion now; before it: {result['previous'] or 'none'}")
    else:
        typer.echo(f"{version} is the champion already")


def rollback_command(
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="Default: the previous champion.", show_default=False),
    ] = None,
    reason: Reason = "trainer rollback",
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make the previous champion live again."""
    with connect(resolve_url(database_url), autocommit=True) as connection:
        require_schema(connection)
        result = rollback(connection, reason, version)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{result['champion']} is the champion again; withdrawn: {result['withdrawn'] or 'none'}")


def _registered(connection: psycopg.Connection[Any], model: str | None) -> str:
    """Return the version meant: one of the registry by name, else that of a folder."""
    known = model and connection.execute("SELECT version FROM public.ml_models WHERE version = %s", (model,)).fetchone()
    return str(known[0]) if known else find_model(model).version


def _call(connection: psycopg.Connection[Any], query: str, parameters: tuple[Any, ...]) -> dict[str, Any]:
    try:
        with connection.transaction():
            row = connection.execute(query.encode(), parameters).fetchone()
    except psycopg.Error as error:
        raise UserError(sentence_of(error)) from error
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    return dict(row[0])


def describe_gate(gate: dict[str, Any]) -> str:
    """Return the outcome of one gate in a line."""
    detail = re.sub(r"(?<=largest difference )[-+.\de]+", lambda number: f"{float(number[0]):.2g}", str(gate["detail"]))
    return f"{'passed' if gate['passed'] else 'FAILED'}  {gate['gate']}: {detail}"
