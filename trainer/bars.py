"""Stage 0 of a model's way: read files of OHLCV bars into ``price_bars``.

What a file may look like, ``trainer.bar_files`` says. A file is loaded as a whole or not at all, in one transaction,
and loading it again changes nothing. It is read in chunks into a temporary table, so that its size does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import psycopg
import typer

from trainer.bar_files import NUMBERS, Chunk, read_chunks, there_twice
from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url, sentence_of
from trainer.errors import UserError
from trainer.progress import Progress, no_progress, progress_bar
from trainer.sql import statement

_COPY = b"COPY pg_temp.incoming_bars FROM STDIN (FORMAT BINARY)"
_COPY_TYPES = ("int8", "text", "text", "timestamptz", *["float8"] * len(NUMBERS))
_PART_BARS = 5_000


@dataclass(frozen=True)
class LoadReport:
    """What loading one file did: bars that were new, bars that had other values, bars that were there.

    ``warnings`` are sentences about bars that were loaded although their times look wrong.
    """

    file: Path
    new: int
    changed: int
    unchanged: int
    warnings: tuple[str, ...] = ()

    @property
    def bars(self) -> int:
        """The number of bars in the file."""
        return self.new + self.changed + self.unchanged


def load_bars(
    connection: psycopg.Connection[Any],
    files: Iterable[Path],
    *,
    symbol: str | None = None,
    timeframe: str | None = None,
    progress: Progress | None = None,
) -> list[LoadReport]:
    """Load files of OHLCV bars into ``price_bars``, each in a transaction of its own.

    ``symbol`` and ``timeframe`` stand in for columns that the files do not have. Bars that the table already
    holds with the same values are not written, so that nothing is computed again. ``progress`` is called for each
    file while it is read and while it is stored.

    Raises:
        UserError: a file is missing or not readable, one of its rows is wrong, or the server failed; nothing of it is
            loaded.
    """
    known = _known_timeframes(connection)
    reports: list[LoadReport] = []
    for file in files:
        try:
            with (
                _server_errors(file),
                connection.transaction(),
                closing(read_chunks(file, symbol=symbol, timeframe=timeframe)) as chunks,
            ):
                known_chunks = _of_known_timeframes(chunks, known, file)
                reports.append(_load(connection.cursor(), file, known_chunks, progress or no_progress))
        except UserError as error:
            if not reports:
                raise
            loaded = ", ".join(report.file.name for report in reports)
            raise UserError(f"{str(error).rstrip('.')}; loaded before it: {loaded}.") from error
    return reports


def _load(cursor: psycopg.Cursor[Any], file: Path, chunks: Iterator[Chunk], progress: Progress) -> LoadReport:
    """Read a file into a temporary table, and bring ``price_bars`` to it."""
    bars = _copy(cursor, chunks, f"{file.name}: reading", progress)
    cursor.execute(statement("index_incoming_bars"))
    twice = cursor.execute(statement("incoming_bar_twice")).fetchone()
    if twice is not None:
        raise UserError(there_twice(file, bars.unit, *twice))
    future = cursor.execute(statement("future_incoming_bar")).fetchone()
    if future is not None:
        place, timeframe, opening, present = future
        raise UserError(
            f"{file}, {bars.unit} {place}: a bar of {timeframe} that opens at {opening} UTC is in the future (the "
            f"server's clock says {present}): correct ts (is it in UTC?), or leave the bar out."
        )
    warnings = _time_warnings(cursor, file, bars.unit)
    new = changed = done = 0
    parts = _parts(cursor)
    total = sum(size for _, _, size in parts)
    for first, last, size in parts:
        progress(f"{file.name}: storing", done, total)
        counts = cursor.execute(statement("merge_incoming_bars"), (*first, *last)).fetchone()
        assert counts is not None  # noqa: S101  an aggregate without GROUP BY gives one row
        new, changed, done = new + counts[0], changed + counts[1], done + size
    progress(f"{file.name}: storing", done, total)
    cursor.execute("DROP TABLE pg_temp.incoming_bars")
    return LoadReport(file, new, changed, bars.count - new - changed, warnings)


def _time_warnings(cursor: psycopg.Cursor[Any], file: Path, unit: str) -> tuple[str, ...]:
    """Return what is odd about the times of the incoming bars; bars may open at any quarter of an hour."""
    odd = cursor.execute(statement("odd_incoming_bars")).fetchone()
    assert odd is not None  # noqa: S101  an aggregate without GROUP BY gives one row
    problems = (
        (*odd[:2], "a time at which no bar of its timeframe opens: ts is to be the opening time, not that of a trade"),
        (*odd[2:], "a time before the previous bar of its timeframe has ended: is the timeframe right?"),
    )
    return tuple(
        f"{file.name}: {count:,} bar{' opens' if count == 1 else 's open'} at {problem} (first: {unit} {place})."
        for count, place, problem in problems
        if count
    )


@dataclass
class _Copied:
    """How many bars were copied, and what their places in the file count: lines or rows."""

    count: int = 0
    unit: str = "line"


def _copy(cursor: psycopg.Cursor[Any], chunks: Iterable[Chunk], what: str, progress: Progress) -> _Copied:
    """Copy bars into the temporary table ``incoming_bars`` of this transaction."""
    cursor.execute(statement("create_incoming_bars"))
    copied = _Copied()
    with cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for bars, share in chunks:
            copied.unit = str(bars.index.name)
            times = bars["ts"].dt.to_pydatetime()
            numbers = (bars[name].tolist() for name in NUMBERS)
            for row in zip(bars.index.tolist(), bars["symbol"], bars["timeframe"], times, *numbers, strict=True):
                copy.write_row(row)
            copied.count += len(bars)
            # The number of bars is known at the end; until then it is estimated from the share that has been read.
            progress(what, copied.count, round(copied.count / share) if share else copied.count)
    return copied


def copy_bars(cursor: psycopg.Cursor[Any], bars: pd.DataFrame) -> None:
    """Copy bars, as ``trainer.bar_files.read_bars`` gives them, into the temporary table ``incoming_bars``."""
    _copy(cursor, [Chunk(bars, 1.0)], "", no_progress)


def _parts(cursor: psycopg.Cursor[Any]) -> list[tuple[tuple[Any, ...], tuple[Any, ...], int]]:
    """Return the parts of the incoming bars that one statement each stores: first key, last key, bars to write.

    Small series share a part; a large one that only grows has several, so that there is progress to report.
    """
    parts = []
    first: tuple[Any, ...] | None = None
    size = 0
    for symbol, timeframe, first_ts, last_ts, bars in cursor.execute(
        statement("incoming_bar_parts"), {"size": _PART_BARS}
    ).fetchall():
        first = first or (symbol, timeframe, first_ts)
        last = (symbol, timeframe, last_ts)
        size += bars
        if size >= _PART_BARS:
            parts.append((first, last, size))
            first, size = None, 0
    if first is not None:
        parts.append((first, last, size))
    return parts


def _known_timeframes(connection: psycopg.Connection[Any]) -> set[str]:
    try:
        with connection.transaction():  # left open, it would keep the files' transactions from committing
            rows = connection.execute("SELECT timeframe FROM public.ml_timeframes").fetchall()
    except psycopg.errors.UndefinedTable:
        raise UserError(f"The database has no table ml_timeframes: {MIGRATE}.") from None
    return {row[0] for row in rows}


def _of_known_timeframes(chunks: Iterator[Chunk], known: set[str], file: Path) -> Iterator[Chunk]:
    for chunk in chunks:
        unknown = ~chunk.bars["timeframe"].isin(known).to_numpy()
        if unknown.any():
            position = int(unknown.argmax())
            raise UserError(
                f"{file}, {chunk.bars.index.name} {chunk.bars.index[position]}: the timeframe "
                f"{chunk.bars['timeframe'].iloc[position]} is unknown: use one of {', '.join(sorted(known))}, or add "
                "it to the table ml_timeframes."
            )
        yield chunk


@contextmanager
def _server_errors(file: Path) -> Iterator[None]:
    """Say in a sentence why the server could not take a file; rights that are missing are said by the command line."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state in ("", "57P01", "57P02", "57P03"):
            raise UserError(
                f"The connection to the server was lost while {file} was being loaded: load it again when the server "
                "is back; what is there already is not loaded twice."
            ) from error
        if state.startswith("53"):
            advice = "make room on the server, then load the file again"
        elif state.startswith(("40", "55", "57")):
            advice = "load the file again when the server is less busy, or with a longer time limit"
        else:
            advice = "correct that, then load the file again"
        said = sentence_of(error, capital=False).rstrip(".")
        raise UserError(f"Nothing of {file} was loaded, because the server said: {said}; {advice}.") from error


def load_bars_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV files, plain or gzipped, or Parquet files.")
    ],
    symbol: Annotated[str | None, typer.Option("--symbol", help="The symbol, for files without that column.")] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", help="The timeframe, for files without that column.")
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Load OHLCV bars from CSV or Parquet files of any size; loading a file again changes nothing.

    A file has the columns symbol, timeframe, ts, open, high, low, close, volume, in any order; CSV has a header.
    ts is the opening time of the bar (in CSV in ISO 8601), UTC when it has no zone.
    Bars in the future are refused; odd opening times are loaded with a warning.
    """
    with connect(resolve_url(database_url)) as connection, progress_bar("bars", "reading bars") as progress:
        reports = load_bars(connection, files, symbol=symbol, timeframe=timeframe, progress=progress)
    if as_json:
        typer.echo(json.dumps([_as_json(report) for report in reports]))
        return
    for report in reports:
        typer.echo(
            f"{report.file.name}: {report.new:,} new, {report.changed:,} changed, {report.unchanged:,} unchanged"
        )
        for warning in report.warnings:
            typer.echo(f"Warning: {warning}", err=True)


def _as_json(report: LoadReport) -> dict[str, Any]:
    counts = {"new": report.new, "changed": report.changed, "unchanged": report.unchanged}
    return {"file": str(report.file), **counts, "warnings": list(report.warnings)}
