"""The whole story on the shipped bars: from an empty database to live scoring, with real output."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from statistics import median
from typing import Any

import pandas as pd
import psycopg
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from trainer import compile as compiling
from trainer import verify as verifying
from trainer.artefact import ModelFolder, require_writable_home
from trainer.backfill import backfill
from trainer.bar_files import read_bars
from trainer.bars import copy_bars, load_bars
from trainer.cli import DatabaseUrl
from trainer.compile import compile_folder
from trainer.database import connect, has_password, resolve_url, url_without_password, uses_embedded_server
from trainer.dataset import load_dataset
from trainer.deploy import deploy
from trainer.errors import UserError
from trainer.evaluate import print_evaluation
from trainer.fit import train
from trainer.harvest import harvest
from trainer.label import label_outcomes
from trainer.migrations import upgrade
from trainer.progress import output, progress_bar
from trainer.promote import champion, describe_gate, promote
from trainer.resources import sample_bars
from trainer.server import HOME_VARIABLE, find_binaries
from trainer.sql import statement
from trainer.status import print_health, status
from trainer.verify import verify

LIVE_EVENTS = 12


class _Story:
    """Prints numbered chapters with the time that each has taken."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.number = 0
        self.started = time.monotonic()

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        self.number += 1
        self.console.print(f"\n[bold]{self.number}  {title}[/]")
        started = time.monotonic()
        yield
        self.console.print(f"   [dim]{time.monotonic() - started:.1f} s[/]")

    def say(self, text: str) -> None:
        self.console.print(Padding(text, (0, 0, 0, 3), expand=False), markup=False)


def command(database_url: DatabaseUrl = None) -> None:
    """Tell the whole story on the shipped bars; the server keeps running."""
    demo(database_url, output())


def demo(database_url: str | None, console: Console) -> None:
    """Migrate, load, harvest, label, fit, compile, verify, promote, backfill, then insert the newest events live.

    Runs any number of times on its own database. Raises ``UserError`` for a database that holds bars that are not
    exactly the shipped ones, or events of other symbols, before anything is changed.
    """
    require_writable_home()
    story = _Story(console)
    with ExitStack() as stack:
        with story.chapter("A PostgreSQL server, and the schema by Alembic"):
            with progress_bar("steps", "starting PostgreSQL"):
                url = resolve_url(database_url)
                connection = stack.enter_context(connect(url, autocommit=True))
            version = _value(connection, "SHOW server_version")
            story.say(f"PostgreSQL {version}, {_place(url)}")
            _refuse_foreign_data(connection)
            with progress_bar("revisions", "migrating"):
                upgrade(url)
            revision = _value(connection, "SELECT version_num FROM ml.alembic_version")
            story.say(f"schema revision {revision}")
            connection.execute(b"SELECT ml.create_prediction_partitions()")

        with story.chapter("Real daily bars"):
            with progress_bar("bars", "reading bars") as progress:
                reports = load_bars(connection, sample_bars(), progress=progress)
            for report in reports:
                story.say(
                    f"{report.file.name:<16} {report.new:>6,} new, {report.changed:,} changed, "
                    f"{report.unchanged:>6,} there already"
                )

        with story.chapter("Patterns by TA-Lib, outcomes by what the market did next"):
            with progress_bar("bars", "reading bars") as progress:
                found = harvest(connection, progress=progress)
            story.say(f"{found.events:,} candlestick patterns on {found.bars:,} bars, {found.new:,} of them new")
            with progress_bar("events", "labelling events") as progress:
                labels = label_outcomes(connection, progress=progress)
            story.say(", ".join(f"{label} {events:,}" for label, events in _outcomes(connection)))
            story.say(f"{labels.pending:,} events have no outcome yet: they wait for more bars")

        folder = _train(connection, story)
        _compile_and_verify(connection, folder, story)
        newest, per_event = _promote_and_backfill(connection, folder, story)
        _live(connection, url, folder, newest, per_event, story)

        found_status = status(connection)
        console.print("\n[bold]Health[/] (SELECT ml_health())")
        print_health(found_status["health"], console)
    _next_steps(story, folder, database_url, url)


def _train(connection: psycopg.Connection[Any], story: _Story) -> ModelFolder:
    with story.chapter("Train: walk-forward, purged and embargoed; one look at the holdout"):
        with progress_bar("fits", "reading events") as progress:
            folder = ModelFolder(train(connection, load_dataset(connection), progress=progress))
        print_evaluation(folder.read_json("evaluation.json", "evaluate"), story.console, brief=True)
        method = folder.card["calibrator"]["method"]
        meaning = {"identity": " (none: no method was better by more than its error)"}.get(method, "")
        story.say(f"calibration by the method {method}{meaning}")
    return folder


def _compile_and_verify(connection: psycopg.Connection[Any], folder: ModelFolder, story: _Story) -> None:
    with story.chapter("Compile to PL/pgSQL, and verify in this database"):
        report = compile_folder(folder)
        story.say(f"family {folder.card['algorithm']}: {compiling.describe(report)}")
        with progress_bar("kinds", "reading events") as progress:
            parity = verify(connection, folder, load_dataset(connection).features, progress)
        for name, figure in parity["cases"].items():
            story.say(f"{name:<10}{verifying.describe(figure)}")
        story.say("deployed" if deploy(connection, folder) else "was deployed already")


def _promote_and_backfill(
    connection: psycopg.Connection[Any], folder: ModelFolder, story: _Story
) -> tuple[list[tuple[Any, ...]], float | None]:
    """Return the newest events, taken out, and the milliseconds that a backfilled one took (None: there was none)."""
    with story.chapter("Promote, and score what is there already"):
        before = champion(connection)
        result = promote(connection, folder.version, before, "trainer demo")
        for gate in result["gates"]:
            story.say(describe_gate(gate))
        story.say(f"champion: {folder.version} (before: {before or 'none'})")
        connection.execute(b"SELECT ml.enable('trainer demo'), ml.set_rollout(100, 'trainer demo')")
        newest = _take_out_newest(connection)
        started = time.monotonic()
        with progress_bar("events", "scoring events") as progress:
            counts = backfill(connection, progress=progress)
        seconds = time.monotonic() - started
        per_event = seconds / counts["scored"] * 1e3 if counts["scored"] else None
        rate = "" if per_event is None else f" in {seconds:.1f} s: {per_event:.2f} ms per event, commits included"
        story.say(f"backfill: {counts['scored']:,} events scored{rate}")
        trained = datetime.fromisoformat(folder.card["training"]["data_window"]["end"])
        story.say(
            f"those until {trained:%Y-%m-%d} are what the model was trained on: their scores are no evidence, "
            "those of the holdout above are"
        )
    return newest, per_event


def _live(
    connection: psycopg.Connection[Any],
    url: str,
    folder: ModelFolder,
    newest: list[tuple[Any, ...]],
    per_event: float | None,
    story: _Story,
) -> None:
    trained = datetime.fromisoformat(folder.card["training"]["data_window"]["end"])
    with story.chapter(f"The newest {len(newest)} events arrive, one INSERT each"):
        if newest and min(event[3] for event in newest) > trained:
            story.say(f"all of them lie after the training window, which ended on {trained:%Y-%m-%d}")
        rows, times, first = _insert_live(connection, url, newest)
        story.console.print(_live_table(rows, story.console.width))
        if times:
            beside = "" if per_event is None else f"; a backfilled event took {per_event:.2f} ms"
            story.say(
                f"ms: scoring inside the INSERT; the whole statement with its commit took {median(times):.1f} ms "
                f"(median){beside}"
            )
        if first is not None:
            story.say(
                f"the last event came by a new session, whose first INSERT took {first:.0f} ms: it compiles the "
                "functions once"
            )
            _explain_score(connection, newest[-1], story)
        _explain_confirmed(connection, folder, story)


def _explain_score(connection: psycopg.Connection[Any], event: tuple[Any, ...], story: _Story) -> None:
    """Say what moved one event's score most, if its model can tell."""
    query = "SELECT count(*) FROM public.ml_predictions WHERE event_id = %s AND contributions IS NOT NULL"
    if not _value(connection, query, event[0]):
        return
    strongest = connection.execute(statement("strongest_contributions"), (event[0],)).fetchall()
    parts = [
        f"{feature} {'NULL' if value is None else f'{value:.3g}'} ({moved:+.2f})" for feature, value, moved in strongest
    ]
    story.say(f"its score was moved most, in log-odds, by {', '.join(parts)}; ml.explain(id) tells all")


def _explain_confirmed(connection: psycopg.Connection[Any], folder: ModelFolder, story: _Story) -> None:
    row = connection.execute(statement("confirmed_at"), (folder.version,)).fetchone()
    if row is None or not row[0]:
        return
    events, threshold, confirmed, recommended, then = row
    said = (
        f"confirmed: the blended confidence is at least {threshold:.3g}, which {confirmed:,} of {events:,} events "
        f"reach ({confirmed / events:.1%})"
    )
    if recommended is not None:
        said += (
            f"; the model's card recommends {recommended:.3f}, which would confirm {then:,} ({then / events:.1%}), "
            "see the last step below"
        )
    story.say(said)


def _refuse_foreign_data(connection: psycopg.Connection[Any]) -> None:
    """Raise a UserError when the demo would change bars or events that are not its own; changes nothing itself."""
    row = connection.execute(
        b"SELECT to_regclass('public.pattern_events') IS NOT NULL, to_regclass('public.price_bars') IS NOT NULL"
    ).fetchone()
    has_events, has_bars = row or (False, False)
    foreign = []
    try:
        if has_bars and (found := _foreign_bar(connection)):
            foreign.append(found)
        if has_events and not has_bars:
            foreign.append("a table pattern_events that it did not make")
        elif has_events:
            symbols = [file.name.partition("_")[0] for file in sample_bars()]
            symbol = _value(connection, statement("foreign_events").decode(), symbols)
            if symbol is not None:
                foreign.append(f"events of other symbols ({symbol})")
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction, psycopg.errors.WrongObjectType):
        foreign.append("tables of another kind under its names")
    if foreign:
        raise UserError(
            f"This database holds {' and '.join(foreign)} that are not the demo's, and nothing was changed: name an "
            "empty database with --database-url, or use the embedded server (no --database-url, no DATABASE_URL) "
            f"with {HOME_VARIABLE} set to a new folder."
        )


def _foreign_bar(connection: psycopg.Connection[Any]) -> str | None:
    """Say which bar of the database is not exactly a shipped one, if there is one."""
    shipped = pd.concat([read_bars(file) for file in sample_bars()])
    with connection.transaction(), connection.cursor() as cursor:
        copy_bars(cursor, shipped)
        row = cursor.execute(statement("foreign_bars")).fetchone()
        cursor.execute("DROP TABLE pg_temp.incoming_bars")
    if row is None:
        return None
    symbol, timeframe, ts, overwritten = row
    what = "bars with other values" if overwritten else "bars"
    return f"{what} ({symbol} {timeframe} {ts:%Y-%m-%d})"


def _outcomes(connection: psycopg.Connection[Any]) -> list[tuple[str, int]]:
    return connection.execute(statement("outcomes")).fetchall()


def _take_out_newest(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Remove the newest events of the demo and return their required columns, oldest first."""
    removed = connection.execute(statement("take_out_newest_events"), (LIVE_EVENTS,)).fetchall()
    return sorted(removed, key=lambda event: (event[3], event[1]))


def _insert_live(
    connection: psycopg.Connection[Any], url: str, events: list[tuple[Any, ...]]
) -> tuple[list[dict[str, str]], list[float], float | None]:
    """Insert events one by one, the last one by a session of its own.

    Returns a row per event for the table, the milliseconds of each statement but the last, and those of the last.
    """
    rows, times = [], []
    first = None
    for place, event in enumerate(events, 1):
        if place == len(events) > 1:
            with connect(url, autocommit=True) as new_session:
                first = _insert(new_session, event)
        else:
            times.append(_insert(connection, event))
        row = connection.execute(statement("live_event"), (event[0],)).fetchone()
        assert row is not None  # noqa: S101  it has just been inserted
        symbol, bar, pattern, rule, ml, blended, confirmed, scoring = row
        rows.append(
            {
                "symbol": symbol,
                "bar": f"{bar:%Y-%m-%d}",
                "pattern": pattern,
                "rule": f"{rule:.3f}",
                "ML": "-" if ml is None else f"{ml:.3f}",
                "blended": f"{blended:.3f}",
                "confirmed": "yes" if confirmed else "no",
                "ms": "-" if scoring is None else f"{scoring / 1e3:.2f}",
            }
        )
    return rows, times, first


def _insert(connection: psycopg.Connection[Any], event: tuple[Any, ...]) -> float:
    started = time.perf_counter()
    connection.execute(statement("insert_live_event"), event)
    return (time.perf_counter() - started) * 1e3


def _live_table(rows: list[dict[str, str]], width: int) -> Table:
    """Return the scores as a table; where they do not fit, columns are left out and no number is cut."""
    names = ["symbol", "bar", "pattern", "rule", "ML", "blended", "confirmed", "ms"]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) if rows else len(name) for name in names}
    for name in ("pattern", "ms", "bar", "confirmed"):
        if sum(widths[kept] + 1 for kept in names) > width:
            names.remove(name)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, justify="left" if name in ("symbol", "bar", "pattern") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in names))
    return table


def _value(connection: psycopg.Connection[Any], query: str, *parameters: Any) -> Any:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return row[0] if row else None


def _place(url: str) -> str:
    parts = conninfo_to_dict(url)
    return f"database {parts.get('dbname')} at {parts.get('host') or 'the local socket'}"


def _next_steps(story: _Story, folder: ModelFolder, database_url: str | None, url: str) -> None:
    minutes, seconds = divmod(round(time.monotonic() - story.started), 60)
    embedded = uses_embedded_server(database_url)
    story.console.print(
        f"\n[bold]Done[/] in {minutes} min {seconds:02d} s{'; the server keeps running' if embedded else ''}."
    )
    steps = {
        "In a shell": [
            *_same_database(database_url, url),
            "python -m trainer status",
            "python -m trainer dashboard --open",
            "python -m trainer evaluate",
            "python -m trainer report --open",
            _psql() + (' "$(python -m trainer db url)"' if embedded else ' "$DATABASE_URL"'),
        ],
        "In psql": [
            statement("example_insert").decode().rstrip(),
            f"SELECT ml.accept_threshold('{folder.version}', 'recommended by its card');",
        ],
    }
    for place, lines in steps.items():
        story.console.print(f"\n{place}:")
        for line in lines:
            story.console.print(line, style="cyan", soft_wrap=True, markup=False)
    story.console.print(f"\nThe model's card: {folder.path / 'model_card.md'}", soft_wrap=True, markup=False)


def _same_database(database_url: str | None, url: str) -> list[str]:
    """Return the shell lines after which the other steps use the database of the demo; never with a password."""
    lines = [f"export {HOME_VARIABLE}={shlex.quote(os.environ[HOME_VARIABLE])}"] if HOME_VARIABLE in os.environ else []
    if uses_embedded_server(database_url):
        return lines
    shown = url_without_password(url)
    if not (database_url and database_url.strip()):
        return [*lines, f"# DATABASE_URL is set: {shown}"]
    note = "  # and PGPASSWORD, or the password in the URL" if has_password(url) else ""
    return [*lines, f"export DATABASE_URL={shlex.quote(shown)}{note}"]


def _psql() -> str:
    found = shutil.which("psql")
    if found:
        return "psql"
    try:
        return shlex.quote(str(find_binaries().folder / "psql"))
    except UserError:  # an own server, and no wheel with programs
        return "psql"
