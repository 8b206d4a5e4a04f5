"""Verb recalibrate: one SQL call; the database fits, judges and registers, and nothing goes live by it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url, sentence_of, with_options
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.progress import output
from trainer.selection import Since, Until, as_utc
from trainer.sql import statement


def recalibrate(
    connection: psycopg.Connection[Any],
    version: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    method: str | None = None,
    reason: str | None = None,
    include_backfill: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Fit calibrators to the outcomes of logged predictions; return what ``ml.recalibrate`` says.

    Raises:
        UserError: the database refuses the arguments, with its sentence.
    """
    arguments = (version, since, until, method, reason, include_backfill, force)
    try:
        with connection.transaction():
            row = connection.execute(statement("recalibrate"), arguments).fetchone()
    except psycopg.Error as error:
        raise UserError(sentence_of(error)) from error
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    return dict(row[0])


def print_result(result: dict[str, Any], console: Console) -> None:
    """Print the candidates, the parts, and what was done."""
    if result["candidates"]:
        judged = result["judged_on"]
        console.print(
            f"judged walk-forward on {judged['rows']:,} events of {judged['spans']} {judged['span']}s, "
            f"{judged['first'][:10]} to {judged['last'][:10]}",
            highlight=False,
        )
        table = Table(box=None, pad_edge=False)
        table.add_column("calibrator")
        for name in ("log loss", "lower by", "Brier", "ECE"):
            table.add_column(name, justify="right")
        for candidate in result["candidates"]:
            gain = candidate.get("log_loss_gain")
            table.add_row(
                f"{candidate['method']}{' *' if candidate['chosen'] else ''}",
                f"{candidate['log_loss']:.4f}",
                "" if gain is None else f"{gain:+.4f} ± {candidate['standard_error']:.4f}",
                f"{candidate['brier']:.4f}",
                f"{candidate['ece']:.3f}",
            )
        console.print(table)
    for segment in result["segments"]:
        name = " ".join(filter(None, (segment["symbol"], segment["timeframe"])))
        errors = segment["before"].get("ece"), segment["after"].get("ece")
        if segment["method"] and errors[0] and errors[1]:
            console.print(
                f"{name}: {segment['method']} of its own, ECE {errors[0]['value']:.3f} -> {errors[1]['value']:.3f}",
                highlight=False,
            )
    console.print(with_options(result["sentence"]), highlight=False)
    if result["next"]:
        console.print(f"next: {result['next']}", highlight=False, soft_wrap=True, markup=False)


def command(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Default: the champion.", show_default=False)
    ] = None,
    since: Since = None,
    until: Until = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="identity, sigmoid or isotonic; default: the best one.", show_default=False),
    ] = None,
    include_backfill: Annotated[
        bool, typer.Option("--include-backfill", help="Use backfilled predictions as well as live ones.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept in the card.")] = (
        "trainer recalibrate"
    ),
    force: Annotated[bool, typer.Option("--force", help="Register the best one even if it is not better.")] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Fit calibrators to the outcomes of logged predictions, and register a better one."""
    with connect(resolve_url(database_url), autocommit=True) as connection:
        require_schema(connection)
        result = recalibrate(
            connection,
            version,
            since=as_utc(since),
            until=as_utc(until),
            method=method,
            reason=reason,
            include_backfill=include_backfill,
            force=force,
        )
    if as_json:
        typer.echo(json.dumps(result))
    else:
        print_result(result, output())
