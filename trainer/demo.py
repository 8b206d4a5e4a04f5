"""The whole story on the shipped bars: from an empty database to live scoring, with real output."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from trainer import compile as compiling
from trainer import verify as verifying
from trainer.artefact import ModelFolder
from trainer.backfill import backfill
from trainer.bars import load_bars
from trainer.cli import DatabaseUrl
from trainer.compile import compile_folder
from trainer.database import connect, resolve_url
from trainer.dataset import load_dataset
from trainer.deploy import deploy
from trainer.errors import UserError
from trainer.evaluate import print_evaluation
from trainer.fit import train
from trainer.harvest import harvest
from trainer.label import label_outcomes
from trainer.migrations import upgrade
from trainer.progress import progress_bar
from trainer.promote import champion, promote
from trainer.resources import sample_bars
from trainer.server import find_binaries
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
        self.console.print(f"   {text}")


def command(database_url: DatabaseUrl = None) -> None:
    """Tell the whole story on the shipped bars; the server keeps running."""
    demo(resolve_url(database_url), Console(highlight=False))


def demo(url: str, console: Console) -> None:
    """Migrate, load, harvest, label, fit, compile, verify, promote, backfill, then insert the newest events live.

    Runs any number of times on its own database. Raises ``UserError`` for a database that holds other people's bars or
    events, before anything is changed.
    """
    story = _Story(console)
    with connect(url, autocommit=True) as connection:
        _refuse_foreign_data(connection)
        with story.chapter("A PostgreSQL server, and the schema by Alembic"):
            version = _value(connection, "SHOW server_version")
            story.say(f"PostgreSQL {version}, {_place(url)}")
            upgrade(url)
            revision = _value(connection, "SELECT version_num FROM ml.alembic_version")
            story.say(f"schema revision {revision}")
            connection.execute(b"SELECT ml.create_prediction_partitions()")

        with story.chapter("Real daily bars"), progress_bar("bars") as progress:
            for report in load_bars(connection, sample_bars(), progress=progress):
                story.say(f"{report.file.name:<16} {report.new:>6,} new, {report.unchanged:>6,} there already")

        with story.chapter("Patterns by TA-Lib, outcomes by what the market did next"):
            with progress_bar("bars") as progress:
                found = harvest(connection, progress=progress)
            story.say(f"{found.events:,} candlestick patterns on {found.bars:,} bars, {found.new:,} of them new")
            with progress_bar("events") as progress:
                label_outcomes(connection, progress=progress)
            story.say(", ".join(f"{label} {events:,}" for label, events in _outcomes(connection)))

        folder = _train(connection, story)
        _compile_and_verify(connection, folder, story)

        with story.chapter("Promote, and score what is there already"):
            before = champion(connection)
            result = promote(connection, folder.version, before, "trainer demo")
            for gate in result["gates"]:
                story.say(f"gate {gate['gate']}: {gate['detail']}")
            story.say(f"champion: {folder.version} (before: {before or 'none'})")
            connection.execute(b"SELECT ml.enable('trainer demo'), ml.set_rollout(100, 'trainer demo')")
            newest = _take_out_newest(connection)
            started = time.monotonic()
            with progress_bar("events") as progress:
                counts = backfill(connection, progress=progress)
            seconds = time.monotonic() - started
            rate = f", {seconds / counts['scored'] * 1e6:.0f} us per event" if counts["scored"] else ""
            story.say(f"backfill: {counts['scored']:,} events scored{rate}")

        with story.chapter(f"The newest {len(newest)} events arrive, one INSERT each"):
            table, times = _insert_live(connection, newest)
            story.console.print(table)
            story.say(
                f"ms: scoring inside the INSERT; the whole statement with its commit took {median(times):.1f} ms "
                "(median)"
            )

        found_status = status(connection)
        story.console.print("\n[bold]Health[/] (SELECT ml_health())")
        print_health(found_status["health"], console)
    _next_steps(story, folder)


def _train(connection: psycopg.Connection[Any], story: _Story) -> ModelFolder:
    with story.chapter("Train: walk-forward, purged and embargoed; one look at the holdout"):
        with progress_bar("fits") as progress:
            folder = ModelFolder(train(connection, load_dataset(connection), progress=progress))
        print_evaluation(folder.read_json("evaluation.json", "evaluate"), story.console, brief=True)
    return folder


def _compile_and_verify(connection: psycopg.Connection[Any], folder: ModelFolder, story: _Story) -> None:
    with story.chapter("Compile to PL/pgSQL, and verify in this database"):
        story.say(compiling.describe(compile_folder(folder)))
        with progress_bar("kinds") as progress:
            parity = verify(connection, folder, load_dataset(connection).features, progress)
        for name, figure in parity["cases"].items():
            story.say(f"{name:<10}{verifying.describe(figure)}")
        story.say("deployed" if deploy(connection, folder) else "was deployed already")


def _refuse_foreign_data(connection: psycopg.Connection[Any]) -> None:
    symbols = [file.name.partition("_")[0] for file in sample_bars()]
    row = connection.execute(
        b"SELECT to_regclass('public.pattern_events') IS NOT NULL, to_regclass('public.price_bars') IS NOT NULL"
    ).fetchone()
    events, bars = row or (False, False)
    foreign = []
    if bars and _value(connection, "SELECT count(*) FROM public.price_bars WHERE symbol <> ALL (%s)", symbols):
        foreign.append("bars")
    if events and (not bars or _value(connection, statement("foreign_events").decode())):
        foreign.append("events")
    if foreign:
        raise UserError(
            f"This database holds {' and '.join(foreign)} that are not the demo's: give it an empty database, "
            "with --database-url or without DATABASE_URL."
        )


def _outcomes(connection: psycopg.Connection[Any]) -> list[tuple[str, int]]:
    return connection.execute(statement("outcomes")).fetchall()


def _take_out_newest(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Remove the newest events of the demo and return their required columns, oldest first."""
    removed = connection.execute(statement("take_out_newest_events"), (LIVE_EVENTS,)).fetchall()
    return sorted(removed, key=lambda event: (event[3], event[1]))


def _insert_live(connection: psycopg.Connection[Any], events: list[tuple[Any, ...]]) -> tuple[Table, list[float]]:
    """Insert events one by one; return a table of their scores and the milliseconds that each statement took."""
    times = []
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("symbol", "bar", "pattern"):
        table.add_column(name, no_wrap=True)
    for name in ("rule", "ML", "blended", "confirmed", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for event in events:
        started = time.perf_counter()
        connection.execute(statement("insert_live_event"), event)
        times.append((time.perf_counter() - started) * 1e3)
        row = connection.execute(statement("live_event"), (event[0],)).fetchone()
        assert row is not None  # noqa: S101  it has just been inserted
        symbol, bar, pattern, rule, ml, blended, confirmed, scoring = row
        table.add_row(
            symbol, f"{bar:%Y-%m-%d}", pattern, f"{rule:.3f}", "-" if ml is None else f"{ml:.3f}",
            f"{blended:.3f}", "yes" if confirmed else "no", f"{scoring / 1e3:.2f}",
        )  # fmt: skip
    return table, times


def _value(connection: psycopg.Connection[Any], query: str, *parameters: Any) -> Any:
    row = connection.execute(query.encode(), parameters or None).fetchone()
    return row[0] if row else None


def _place(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(url)
    return f"database {parts.get('dbname')} at {parts.get('host') or 'the local socket'}"


def _next_steps(story: _Story, folder: ModelFolder) -> None:
    minutes, seconds = divmod(round(time.monotonic() - story.started), 60)
    story.console.print(f"\n[bold]Done[/] in {minutes} min {seconds:02d} s; the server keeps running. Next:")
    psql = shutil.which("psql") or str(find_binaries().folder / "psql")
    for step in (
        "python -m trainer status",
        "python -m trainer evaluate",
        f'{psql} "$(python -m trainer db url)"',
        statement("example_insert").decode().rstrip(),
        f"SELECT ml.accept_threshold('{folder.version}', 'recommended by its card');",
    ):
        story.console.print(step, style="cyan", soft_wrap=True)
    story.console.print(f"The model's card: {folder.path / 'model_card.json'}", soft_wrap=True)
