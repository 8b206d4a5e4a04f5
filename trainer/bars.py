"""Stage 0 of a model's way: read OHLCV files into ``price_bars``.

A file is comma-separated, plain or gzipped, and starts with a header that names ``symbol, timeframe, ts,
open, high, low, close, volume`` in any order; other columns are ignored. ``ts`` is the opening time of the
bar in ISO 8601; without a zone it is UTC. A file is loaded as a whole or not at all, and loading it again
changes nothing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psycopg
import typer

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url
from trainer.errors import UserError
from trainer.progress import Progress, progress_bar
from trainer.sql import statement

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
COLUMNS = ("symbol", "timeframe", "ts", *NUMBERS)

_COPY = b"COPY pg_temp.incoming_bars FROM STDIN (FORMAT BINARY)"
_COPY_TYPES = ("text", "text", "timestamptz", *["float8"] * len(NUMBERS))
_ROWS_PER_REPORT = 20_000


@dataclass(frozen=True)
class LoadReport:
    """What loading one file did: bars that were new, bars that had other values, bars that were there."""

    file: Path
    new: int
    changed: int
    unchanged: int

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
    """Load OHLCV files into ``price_bars``, each in a transaction of its own.

    ``symbol`` and ``timeframe`` stand in for columns that the files do not have. Bars that the table already
    holds with the same values are not written, so that nothing is computed again.

    Raises:
        UserError: a file is missing or not readable, or one of its rows is wrong; nothing of it is loaded.
    """
    known = _known_timeframes(connection)
    reports: list[LoadReport] = []
    for file in files:
        try:
            bars = read_bars(file, symbol=symbol, timeframe=timeframe)
            _check_timeframes(bars, known, file)
        except UserError as error:
            if not reports:
                raise
            loaded = ", ".join(report.file.name for report in reports)
            raise UserError(f"{str(error).rstrip('.')}; loaded before it: {loaded}.") from error
        with connection.transaction():
            new, changed = _merge(connection, bars, file.name, progress)
        reports.append(LoadReport(file, new, changed, len(bars) - new - changed))
    return reports


def read_bars(file: Path, *, symbol: str | None = None, timeframe: str | None = None) -> pd.DataFrame:
    """Read and check one file.

    Returns a row per bar with ``symbol, timeframe`` (text), ``ts`` (UTC), ``open, high, low, close, volume``
    (float64), ordered by symbol, timeframe and ts, and an index that holds the line of the file.

    Raises:
        UserError: the file or a row of it is wrong; the message names the file and the line.
    """
    header, lines, rows = _read_rows(file)
    given = {"symbol": symbol, "timeframe": timeframe}
    names = [name.strip().lower() for name in header]
    for name in names:
        if name in COLUMNS and names.count(name) > 1:
            raise UserError(f"{file} has two columns named {name}: remove one of them.")
    for name, value in given.items():
        if value is not None and name in names:
            raise UserError(f"{file} has a column {name} of its own: leave out --{name}, or remove the column.")
    missing = [name for name in COLUMNS if name not in names and given.get(name) is None]
    if missing:
        raise UserError(_missing_columns(file, missing, header))
    if not rows:
        raise UserError(f"{file} has a header but no bars.")

    table = {name: [row[names.index(name)].strip() for row in rows] for name in COLUMNS if name in names}
    bars = pd.DataFrame(index=pd.Index(lines, name="line"))
    for name, value in given.items():
        bars[name] = np.array(table[name], dtype=object) if name in table else value
        _refuse(file, bars[name] == "", f"{name} is empty")
    texts = pd.Series(table["ts"], index=bars.index)
    bars["ts"] = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    problem = "ts is not a time in ISO 8601, such as 2024-05-17 or 2024-05-17T14:30Z"
    _refuse(file, bars["ts"].isna(), problem, table["ts"])
    for name in NUMBERS:
        bars[name] = _numbers(table[name])
        _refuse(file, bars[name].isna(), f"{name} is not a number", table[name])
        _refuse(file, np.isinf(bars[name]), f"{name} is infinite", table[name])
    for name in PRICES:
        _refuse(file, bars[name] <= 0, f"{name} is not above zero", table[name])
    _refuse(file, bars["volume"] < 0, "volume is negative", table["volume"])
    _refuse(file, bars["high"] < bars["low"], "high is below low")
    _refuse(file, bars["high"] < bars[["open", "close"]].max(axis=1), "high is below open or close")
    _refuse(file, bars["low"] > bars[["open", "close"]].min(axis=1), "low is above open or close")

    key = ["symbol", "timeframe", "ts"]
    twice = bars.duplicated(key).to_numpy()
    if twice.any():
        position = int(twice.argmax())
        first = int((bars[key] == bars[key].iloc[position]).to_numpy().all(axis=1).argmax())
        raise UserError(
            f"{file}, line {lines[position]}: this bar (same symbol, timeframe and ts) is already in "
            f"line {lines[first]}: remove one of them."
        )
    return bars[list(COLUMNS)].sort_values(key)


def _read_rows(file: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the header, and line number and fields of every row that is not blank."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file} does not exist: correct the name of the file.") from None
    except IsADirectoryError:
        raise UserError(f"{file} is a folder: name the files in it.") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): correct its permissions.") from error
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise UserError(f"{file} is a damaged gzip file ({error}): get it again.") from error
    elif file.suffix.lower() == ".gz":
        raise UserError(f"{file} is not a gzip file, in spite of its name: get it again, or rename it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}, line {line}: the text is not UTF-8: save the file with that encoding.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{file}, line {line}: there is a zero byte: this is not a CSV file in UTF-8.")

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next((row for row in reader if row), None)
        numbered = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: {error}: correct the quoting.") from None
    if header is None:
        raise UserError(f"{file} is empty: it needs a header and a row per bar.")
    for line, row in numbered:
        if len(row) != len(header):
            raise UserError(f"{file}, line {line}: {len(row)} fields where the header has {len(header)}.")
    return header, [line for line, _ in numbered], [row for _, row in numbered]


def _missing_columns(file: Path, missing: list[str], header: list[str]) -> str:
    if all(name in missing for name in ("ts", *NUMBERS)):
        return (
            f"{file}, line 1: a header is required, with the columns {','.join(COLUMNS)}; "
            f"found: {','.join(header)[:80]}."
        )
    hint = " (or give it as an option)" if set(missing) <= {"symbol", "timeframe"} else ""
    return f"{file} has no column {', '.join(missing)}: add it{hint}."


def _numbers(texts: list[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Convert texts to float64; NaN for what is not a number."""
    try:
        return np.array(texts, dtype=object).astype(np.float64)
    except ValueError:
        return np.array([_number(text) for text in texts], dtype=np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _refuse(file: Path, wrong: pd.Series[bool], problem: str, texts: list[str] | None = None) -> None:
    """Report the first wrong row, if there is one."""
    if not wrong.any():
        return
    position = int(wrong.to_numpy().argmax())
    found = "" if texts is None else f" (found: {texts[position][:40] or 'nothing'})"
    raise UserError(f"{file}, line {wrong.index[position]}: {problem}{found}.")


def _known_timeframes(connection: psycopg.Connection[Any]) -> set[str]:
    try:
        with connection.transaction():  # left open, it would keep the files' transactions from committing
            rows = connection.execute("SELECT timeframe FROM public.ml_timeframes").fetchall()
    except psycopg.errors.UndefinedTable:
        raise UserError(f"The database has no table ml_timeframes: {MIGRATE}.") from None
    return {row[0] for row in rows}


def _check_timeframes(bars: pd.DataFrame, known: set[str], file: Path) -> None:
    unknown = ~bars["timeframe"].isin(known)
    if unknown.any():
        line = bars.index[unknown.to_numpy()].min()
        raise UserError(
            f"{file}, line {line}: the timeframe {bars.loc[line, 'timeframe']} is unknown: use one of "
            f"{', '.join(sorted(known))}, or add it to the table ml_timeframes."
        )


def _merge(
    connection: psycopg.Connection[Any], bars: pd.DataFrame, what: str, progress: Progress | None
) -> tuple[int, int]:
    """Return how many bars were new and how many had other values."""
    cursor = connection.cursor()
    copy_bars(cursor, bars, what, progress)
    counts = cursor.execute(statement("merge_incoming_bars")).fetchone()
    cursor.execute("DROP TABLE pg_temp.incoming_bars")
    assert counts is not None  # noqa: S101 (an aggregate without GROUP BY returns one row)
    return counts[0], counts[1]


def copy_bars(
    cursor: psycopg.Cursor[Any], bars: pd.DataFrame, what: str = "", progress: Progress | None = None
) -> None:
    """Copy bars, as ``read_bars`` gives them, into the temporary table ``incoming_bars`` of this transaction."""
    cursor.execute(statement("create_incoming_bars"))
    numbers = (bars[name].tolist() for name in NUMBERS)
    columns = [bars["symbol"], bars["timeframe"], bars["ts"].dt.to_pydatetime(), *numbers]
    with cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for done, row in enumerate(zip(*columns, strict=True), 1):
            copy.write_row(row)
            if progress is not None and (done % _ROWS_PER_REPORT == 0 or done == len(bars)):
                progress(what, done, len(bars))


def load_bars_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV files, plain or gzipped.")],
    symbol: Annotated[str | None, typer.Option("--symbol", help="The symbol, for files without that column.")] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", help="The timeframe, for files without that column.")
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Load OHLCV bars from CSV files; loading a file again changes nothing.

    A file has a header and the columns symbol, timeframe, ts, open, high, low, close, volume, in any order.
    ts is the opening time of the bar in ISO 8601, UTC when it has no zone.
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


def _as_json(report: LoadReport) -> dict[str, Any]:
    counts = {"new": report.new, "changed": report.changed, "unchanged": report.unchanged}
    return {"file": str(report.file), **counts}
