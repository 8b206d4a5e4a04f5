"""Label events by hand: shows the bars around each event in the terminal and records what an analyst judges.

The automatic outcome stays hidden until the analyst has spoken. Every answer is a transaction of its own, so
that leaving at any time, also by Ctrl-C or a lost connection, loses nothing that was recorded.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import psycopg
import typer
from psycopg.errors import (
    InvalidParameterValue,
    InvalidSchemaName,
    NoDataFound,
    ObjectNotInPrerequisiteState,
    UndefinedFunction,
    UndefinedTable,
)
from psycopg.rows import dict_row
from rich.console import Console
from rich.text import Text

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url, sentence_of
from trainer.errors import UserError
from trainer.progress import output
from trainer.selection import Since, Symbols, Timeframes, Until, as_utc
from trainer.sql import statement

OUTCOMES = {"w": "win", "l": "loss", "t": "timeout"}
OTHER_KEYS = {"s": "skip", "b": "back", "d": "withdraw", "q": "quit"}
KEYS = OUTCOMES | OTHER_KEYS
COLUMNS_PER_BAR = 2
PRICE_WIDTH = 18
BARS_BEFORE = 40

# The upper and the lower half of a cell: nothing, the wick or the body of a candle.
NOTHING, WICK, BODY = range(3)
GLYPHS = {
    (NOTHING, NOTHING): " ", (WICK, WICK): "│", (BODY, BODY): "┃", (WICK, BODY): "╽", (BODY, WICK): "╿",
    (NOTHING, WICK): "╷", (WICK, NOTHING): "╵", (NOTHING, BODY): "╻", (BODY, NOTHING): "╹",
}  # fmt: skip
PLAIN_GLYPHS = {halves: "#" if BODY in halves else "|" if WICK in halves else " " for halves in GLYPHS}


class Bar(NamedTuple):
    """One bar, as stored."""

    ts: datetime
    open: float
    high: float
    low: float
    close: float


class Level(NamedTuple):
    """A price with a name, drawn as a line to the right of the detection bar."""

    name: str
    price: float
    style: str


@dataclass
class Session:
    """What one run has done."""

    shown: int = 0
    skipped: int = 0
    labels: list[dict[str, Any]] = field(default_factory=list)
    withdrawn: int = 0


def draw_candles(
    bars: Sequence[Bar], detected: int, levels: Sequence[Level], *, height: int = 16, plain: bool = False
) -> list[Text]:
    """Draw bars as candles, a bar every two columns, prices at half a row.

    Args:
        bars: in order of time, at least one.
        detected: index of the bar that the pattern was detected on; levels are drawn after it.
        levels: prices to mark; the scale includes them.
        height: rows of the price axis; two more rows mark the detection bar and the bars after it.
        plain: ASCII only.
    """
    glyphs = PLAIN_GLYPHS if plain else GLYPHS
    highest = max(*(bar.high for bar in bars), *(level.price for level in levels))
    lowest = min(*(bar.low for bar in bars), *(level.price for level in levels))
    scale = (2 * height - 1) / (highest - lowest) if highest > lowest else 0.0

    def half_row(price: float) -> int:
        """Count half rows from the top."""
        return round((highest - price) * scale)

    width = COLUMNS_PER_BAR * len(bars)
    cells = [[(" ", "") for _ in range(width)] for _ in range(height)]
    prices: dict[int, tuple[str, str]] = {0: (f"{highest:.6g}", "dim"), height - 1: (f"{lowest:.6g}", "dim")}
    named: dict[int, str] = {}
    for level in levels:
        row = half_row(level.price) // 2
        for column in range(COLUMNS_PER_BAR * detected + 1, width):
            cells[row][column] = ("-" if plain else "┄", level.style)
        same_row = f"{named[row]}, " if row in named else ""
        named[row] = f"{same_row}{level.price:.6g} {level.name}"
        prices[row] = (named[row], level.style)
    for position, bar in enumerate(bars):
        style = "green" if bar.close >= bar.open else "red"
        top, bottom = half_row(bar.high), half_row(bar.low)
        body_top, body_bottom = half_row(max(bar.open, bar.close)), half_row(min(bar.open, bar.close))
        for row in range(top // 2, bottom // 2 + 1):
            halves = tuple(
                BODY if body_top <= half <= body_bottom else WICK if top <= half <= bottom else NOTHING
                for half in (2 * row, 2 * row + 1)
            )
            cells[row][COLUMNS_PER_BAR * position] = (glyphs[halves[0], halves[1]], style)
    lines = []
    for row, line in enumerate(cells):
        text = Text.assemble(*line)
        price, style = prices.get(row, ("", ""))
        text.append(f" {price}", style)
        lines.append(text)
    after = width - COLUMNS_PER_BAR * (detected + 1) - 1
    marks = Text(" " * (COLUMNS_PER_BAR * detected) + ("^" if plain else "▲"), "bold yellow")
    if after > 0:
        marks.append((" " + ("=" if plain else "═") * after)[: after + 1], "dim")
    count = len(bars) - detected - 1
    legend = Text(" " * max(0, COLUMNS_PER_BAR * detected - 8) + "detected ", "yellow")
    legend.append(f"{count} bar{'' if count == 1 else 's'} after it", "dim")
    return [*lines, marks, legend]


def _read_key(console: Console) -> str:
    """Return the answer: one key in a terminal, the first letter of a line otherwise; q at the end of the input."""
    while True:
        names = "  ".join(f"[bold]{key}[/] {name}" for key, name in KEYS.items())
        console.print(f"{names} ", end="")
        if sys.stdin.isatty():
            try:
                typed = typer.getchar()
            except EOFError:
                typed = "q"
            if typed == "\x03":
                raise KeyboardInterrupt
        else:
            typed = sys.stdin.readline() or "q"
        answer = typed.strip().lower()
        # A whole word may be given too, but no word that only begins like one.
        key = answer if answer in KEYS else next((k for k, name in KEYS.items() if name == answer), None)
        console.print(KEYS[key] if key else "")
        if key:
            return key
        if answer:
            console.print(f"[red]{answer!a} is none of the keys[/]")


def _show(console: Console, connection: psycopg.Connection[Any], event_id: UUID, place: str) -> dict[str, Any] | None:
    """Print one event with its chart; return it, or None when it has gone."""
    cursor = connection.cursor(row_factory=dict_row)
    event = cursor.execute(statement("event_to_annotate"), {"id": event_id}).fetchone()
    if event is None:
        console.print(f"{place}: event {event_id} has gone, or its bars have")
        return None
    room = (console.width - PRICE_WIDTH) // COLUMNS_PER_BAR - event["horizon"]
    rows = connection.execute(
        statement("bars_around"),
        {
            **{name: event[name] for name in ("symbol", "timeframe", "bar_ts")},
            "before": max(2, min(BARS_BEFORE, room)),
            "after": event["horizon"],
        },
    ).fetchall()
    bars = [Bar(*row) for row in rows]
    levels = [
        Level(name, event[f"{name}_price"], style)
        for name, style in (("target", "green"), ("entry", "cyan"), ("stop", "red"))
        if event[f"{name}_price"] is not None
    ]
    console.rule(
        f"[bold]{place}  {event['symbol']} {event['timeframe']}  {event['pattern_type']}[/]  "
        f"{event['direction'] or 'no direction'}"
    )
    confidences = "   ".join(
        f"{name} {'none' if event[column] is None else format(event[column], '.2f')}"
        for name, column in (("rule", "rule_confidence"), ("ML", "ml_confidence"), ("blended", "blended_confidence"))
    )
    detected_at = f"{event['detected_at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    console.print(f"detected {detected_at}   {confidences}   {event_id}", style="dim", soft_wrap=True)
    plain = not (console.encoding or "").lower().startswith("utf")
    height = min(24, max(10, console.height - 9))
    detected = sum(bar.ts <= event["bar_ts"] for bar in bars) - 1
    for line in draw_candles(bars, detected, levels, height=height, plain=plain):
        console.print(line, no_wrap=True, overflow="crop")
    if event["judged_outcome"]:
        console.print(
            f"[yellow]labelled {event['judged_outcome']} by {event['judged_by']}: {event['judged_reason']}[/]"
        )
    return event


def _automatic(found: dict[str, Any] | None) -> str:
    """Say what the automatic label is, now that it may be seen."""
    if not found:
        return "there is no automatic label"
    bars, gain = found.get("bars_to_outcome"), found.get("realized_pnl")
    after = "" if bars is None else f" after {bars} bar{'' if bars == 1 else 's'}"
    return f"{found['definition']} says {found['outcome_label']}{after}" + ("" if gain is None else f", {gain:+.1%}")


def annotate(
    connection: psycopg.Connection[Any],
    events: Sequence[UUID],
    *,
    console: Console,
    reason: str | None = None,
    analyst: str | None = None,
    read_key: Callable[[Console], str] = _read_key,
) -> Session:
    """Show events one by one and record the answers, each at once.

    Args:
        connection: in autocommit mode.
        events: ids, in the order to show them in.
        console: where to show them.
        reason: what is stored as the reason of each label; None says where it was judged.
        analyst: who judges; None is the database user.
        read_key: returns one of ``KEYS``.

    Raises:
        UserError: the connection is lost.
    """
    session = Session()
    position = 0
    try:
        while position < len(events):
            event_id = events[position]
            event = _show(console, connection, event_id, f"{position + 1} of {len(events)}")
            if event is None:
                position += 1
                continue
            session.shown += 1
            key = read_key(console)
            if key == "q":
                break
            if key == "b":
                position = max(0, position - 1)
            elif key == "s":
                session.skipped += 1
                position += 1
            else:
                position += _record(connection, session, console, event_id, key, reason, analyst)
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UserError(
            f"The connection was lost after {len(session.labels)} labels, which are recorded: run it again."
        ) from error
    return session


def _record(
    connection: psycopg.Connection[Any],
    session: Session,
    console: Console,
    event_id: UUID,
    key: str,
    reason: str | None,
    analyst: str | None,
) -> int:
    """Record one answer; return how many events to go on by."""
    values = {"id": event_id, "analyst": analyst}
    try:
        if key == "d":
            row = connection.execute(
                statement("withdraw_label"), {**values, "reason": reason or "taken back on the chart"}
            ).fetchone()
            assert row is not None  # noqa: S101 (a function call returns one row)
            session.withdrawn += 1
            console.print(f"withdrawn: {row[0]['withdrawn']}")
            return 0
        row = connection.execute(
            statement("set_label"),
            {**values, "outcome": OUTCOMES[key], "reason": reason or "judged on the chart"},
        ).fetchone()
    except (InvalidParameterValue, NoDataFound, ObjectNotInPrerequisiteState) as error:
        console.print(f"[red]{sentence_of(error)}[/]")
        return 0 if key == "d" else 1
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    recorded = row[0]
    session.labels.append({"event_id": str(event_id), "outcome_label": recorded["outcome_label"]})
    console.print(f"recorded {recorded['outcome_label']}; {_automatic(recorded['automatic'])}\n")
    return 1


def _login_name() -> str | None:
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return None


def command(
    symbols: Symbols = None,
    timeframes: Timeframes = None,
    patterns: Annotated[
        list[str] | None, typer.Option("--pattern", metavar="TYPE", help="Only this pattern type; repeat for more.")
    ] = None,
    since: Since = None,
    until: Until = None,
    events: Annotated[
        list[UUID] | None, typer.Option("--event", metavar="ID", help="Only this event; repeat for more.")
    ] = None,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Only events without any label.")] = False,
    judged_too: Annotated[
        bool, typer.Option("--all", help="Also events that an analyst has labelled already.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show this many events at most.")] = 50,
    analyst: Annotated[
        str | None,
        typer.Option("--analyst", metavar="NAME", help="Who judges; default: the name you are logged in by."),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="What is stored as the reason; default: that it was judged on the chart."),
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Label events by hand, on a chart of the bars around them.

    Newest first, only events whose outcome can be known; the automatic label stays hidden until you have judged.
    A label of yours wins over it, until it is withdrawn. Each is stored at once: leave at any time. Without
    a terminal, answers are read from standard input, one a line.
    """
    if reason is not None and not reason.strip():
        raise UserError("The reason is empty: say why in a few words.")
    console = Console(stderr=True, highlight=False) if as_json else output()
    with connect(resolve_url(database_url), autocommit=True) as connection:
        try:
            found = connection.execute(
                statement("events_to_annotate"),
                {
                    "ids": list(events) if events else None,
                    "symbols": symbols,
                    "timeframes": timeframes,
                    "patterns": [pattern.lower() for pattern in patterns] if patterns else None,
                    "since": as_utc(since),
                    "until": as_utc(until),
                    "unlabelled": unlabelled,
                    "judged_too": judged_too or bool(events),
                    "limit": limit,
                },
            ).fetchall()
        except (UndefinedTable, UndefinedFunction, InvalidSchemaName):
            raise UserError(f"The database has no function ml.label_window: {MIGRATE}.") from None
        if not found and not as_json:
            console.print(
                "No event to judge: none fits the options, or an analyst has labelled them all (--all shows those "
                "again), or their bars have not come yet."
            )
            return
        session = annotate(
            connection,
            [row[0] for row in found],
            console=console,
            reason=reason,
            analyst=analyst or _login_name(),
        )
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "shown": session.shown,
                    "labelled": len(session.labels),
                    "skipped": session.skipped,
                    "withdrawn": session.withdrawn,
                    "labels": session.labels,
                }
            )
        )
        return
    console.print(f"{len(session.labels)} labelled, {session.skipped} skipped, {session.withdrawn} withdrawn")
