"""The verb dashboard: the panels of Grafana's dashboard as one HTML page, once or again and again."""

from __future__ import annotations

import webbrowser
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from trainer.cli import DatabaseUrl
from trainer.dashboard.page import page_template, render, take_snapshot
from trainer.dashboard.panels import dashboard_file, read_dashboard
from trainer.dashboard.periods import time_range
from trainer.dashboard.queries import check_chosen
from trainer.database import connect, resolve_url, sentence_of
from trainer.deploy import require_schema
from trainer.errors import UserError

DEFAULT_FILE = Path("dashboard.html")


def chosen_values(given: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return ``name=value`` options as the values of each variable.

    Raises:
        UserError: one has no ``=``.
    """
    chosen: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--variable {text} is not understood: write it as name=value, for example version=v0002.")
        chosen.setdefault(name.removeprefix("$"), []).append(value)
    return chosen


def command(
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help=f"Where to write the page; default: {DEFAULT_FILE}."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Begin of the time range: 90m, 24h, 7d or a time (UTC); default: 24h, or since live scoring began.",
        ),
    ] = None,
    variable: Annotated[
        list[str] | None,
        typer.Option(
            "--variable", metavar="NAME=VALUE", help="Only this version, symbol or pattern_type; repeat for more."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Serve the page on 127.0.0.1 and refresh it.")] = False,
    every: Annotated[
        float, typer.Option("--every", min=1, max=86400, metavar="SECONDS", help="How often --watch asks the database.")
    ] = 30,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of --watch; 0: any free one.")] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=3600, metavar="SECONDS", help="Time limit of each query.")
    ] = 10,
    dashboard: Annotated[
        Path | None,
        typer.Option("--dashboard", metavar="FILE", help="Another dashboard of Grafana's, as classic JSON."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Draw the monitoring dashboard as one HTML page, or serve it.

    The panels are those of the dashboard for Grafana. The page works offline, and on a phone.
    """
    page_template()  # says which package is missing before anything else is done
    if watch and output:
        raise UserError("--watch serves the page and --output writes it: use one of them.")
    panels = read_dashboard(dashboard or dashboard_file())
    chosen = chosen_values(variable or ())
    check_chosen(panels, chosen)
    time_range(since, datetime.now(UTC))
    url = resolve_url(database_url)
    if watch:
        from trainer.dashboard.server import serve

        serve(panels, url, since=since, chosen=chosen, every=every, port=port, seconds=timeout, show=show)
        return
    file = output or DEFAULT_FILE
    with connect(url, autocommit=True) as connection:
        require_schema(connection)
        now = datetime.now(UTC)
        try:
            snapshot = take_snapshot(
                connection, panels, time_range(since, now, connection, panels.since), chosen, timeout
            )
        except psycopg.Error as error:
            raise UserError(
                f"The database went away ({sentence_of(error).rstrip('.')}): run the command again."
            ) from None
    try:
        file.write_text(render(panels, snapshot), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}): name another file with --output.") from None
    typer.echo(str(file.resolve()))
    if show and not webbrowser.open(file.resolve().as_uri()):
        typer.echo("No browser was found: open the file yourself.")
