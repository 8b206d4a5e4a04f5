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
from trainer.sql import statement

Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Why; it is kept in ml_deployments.", show_default=False),
]
REFUSED = "55000"
"""The SQLSTATE of a promotion that a gate refuses: object_not_in_prerequisite_state."""


class GatesNotPassedError(UserError):
    """A promotion was refused by its gates, which are kept in ``ml_gate_results``."""

    def __init__(self, sentence: str, gates: list[dict[str, Any]]) -> None:
        super().__init__(sentence)
        self.gates = gates


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
    """Make a version the champion; a refusal by the database is a UserError with its sentence.

    Raises ``GatesNotPassedError``, with every gate, when it is the gates that refuse.
    """
    query = "SELECT ml.promote(%s, %s, %s, %s)"
    try:
        return _call(connection, query, (version, expected_champion, reason, force))
    except UserError as error:
        if getattr(error.__cause__, "sqlstate", None) != REFUSED:
            raise
        raise GatesNotPassedError(str(error), check_gates(connection, version)) from error


def check_gates(connection: psycopg.Connection[Any], version: str) -> list[dict[str, Any]]:
    """Check the gates of a version without promoting it; what they say is kept in ``ml_gate_results``.

    Raises:
        UserError: the database refuses to check it, for example because it is not registered.
    """
    try:
        cursor = connection.execute(statement("check_promotion"), (version,))
    except psycopg.Error as error:
        raise UserError(sentence_of(error)) from error
    return [dict(row[0]) for row in cursor]


def rollback(connection: psycopg.Connection[Any], reason: str, version: str | None = None) -> dict[str, Any]:
    """Make the previous champion, or the version named, live again."""
    return _call(connection, "SELECT ml.rollback(%s, %s)", (reason, version))


def promote_command(
    model: ModelArgument = None,
    reason: Reason = None,
    expected_champion: Annotated[
        str | None,
        typer.Option(
            "--expect",
            metavar="VERSION",
            help="Fail unless this version is the champion now; default: whichever is when the command starts.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote even when a gate fails; say why with --reason.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only check the gates; exit code 1 when one fails.")] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a deployed model the champion, if it passes its gates."""
    if force and not (reason or "").strip():
        raise UserError("A promotion past its gates needs a reason: say with --reason why they do not count this time.")
    with connect(resolve_url(database_url), autocommit=True) as connection:
        require_schema(connection)
        version = _registered(connection, model)
        if check:
            _print_check(version, check_gates(connection, version), as_json)
            return
        try:
            result = promote(
                connection, version, expected_champion or champion(connection), reason or "trainer promote", force
            )
        except GatesNotPassedError as refusal:
            _print_gates(refusal.gates, as_json)
            raise
    if as_json:
        typer.echo(json.dumps(result))
        return
    _print_gates(result["gates"], as_json)
    if result["changed"]:
        typer.echo(f"{version} is the champion now; before it: {result['previous'] or 'none'}")
    else:
        typer.echo(f"{version} is the champion already")


def rollback_command(
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="Default: the previous champion.", show_default=False),
    ] = None,
    reason: Reason = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make the previous champion live again."""
    with connect(resolve_url(database_url), autocommit=True) as connection:
        require_schema(connection)
        result = rollback(connection, reason or "trainer rollback", version)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{result['champion']} is the champion again; withdrawn: {result['withdrawn'] or 'none'}")
        if result["warning"]:
            typer.echo(f"warning: {result['warning']}", err=True)


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


def _print_gates(gates: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"gates": gates}))
        return
    for gate in gates:
        typer.echo(describe_gate(gate))


def _print_check(version: str, gates: list[dict[str, Any]], as_json: bool) -> None:
    _print_gates(gates, as_json)
    failed = [gate["gate"] for gate in gates if gate["blocking"] and not gate["passed"]]
    if failed:
        raise UserError(f"{version} would not be promoted: {', '.join(failed)}.")
    if not as_json:
        typer.echo(f"{version} would be promoted")


def describe_gate(gate: dict[str, Any]) -> str:
    """Return the outcome of one gate in a line; one that blocks nothing only warns."""
    outcome = "passed" if gate["passed"] else "FAILED" if gate["blocking"] else "warned"
    detail = re.sub(r"(?<=largest difference )[-+.\de]+", lambda number: f"{float(number[0]):.2g}", str(gate["detail"]))
    return f"{outcome}  {gate['gate']}: {detail}"
