"""What a file of OHLCV bars looks like: read and checked a chunk at a time, so that its size does not matter.

Two formats are told apart by what is in the file: comma-separated text with a header, plain or gzipped, and Parquet.
Both have the columns ``symbol, timeframe, ts, open, high, low, close, volume`` in any order; others are ignored.
``ts`` is the opening time of the bar; a time without a zone is UTC. Every refusal is one sentence that names the file,
the line (of text) or the row (of Parquet, counted from 1), and what to do.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
import stat
import zlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from trainer.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
COLUMNS = ("symbol", "timeframe", "ts", *NUMBERS)
KEY = ("symbol", "timeframe", "ts")

CHUNK_ROWS = 25_000
_LONGEST_LINE = 1_000_000
_READ_BUFFER = 1 << 20
_PARQUET = b"PAR1"
_GZIP = b"\x1f\x8b"
_OTHER_FORMATS = {
    b"PK\x03\x04[Content_Types].xml": "an Excel workbook",
    b"PK\x03\x04xl/": "an Excel workbook",
    b"PK\x03\x04_rels/": "an Excel workbook",
    b"PK\x03\x04docProps/": "an Excel workbook",
    b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet",
    b"PK\x03\x04": "a zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"%PDF": "a PDF document",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"ARROW1": "an Arrow (Feather) file",
    b"\x89HDF": "an HDF5 file",
    b"ORC": "an ORC file",
    b"SQLite": "an SQLite database",
}
_OTHER_TEXTS = {b"{": "JSON", b"[": "JSON", b"<": "HTML or XML"}
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ZIP_HEADER = 30  # bytes of a zip archive before the name of its first file
_PEEKED = 128
_FIRST_TIME = int(np.datetime64("0001-01-01", "us").astype(np.int64))
_LAST_TIME = int(np.datetime64("9999-12-31T23:59:59.999999", "us").astype(np.int64))
_NO_TIME = "ts is not a time in ISO 8601, such as 2024-05-17 or 2024-05-17T14:30Z"
_TOO_FINE = "ts is finer than a microsecond, which Postgres does not hold: round it"

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Chunk(NamedTuple):
    """Some bars in the order of the file, and the share of the file read so far (None: its size is not known).

    ``bars`` has ``symbol, timeframe`` (text), ``ts`` (UTC), ``open, high, low, close, volume`` (float64), and an index
    named ``line`` or ``row`` that says where each bar is in the file.
    """

    bars: pd.DataFrame
    share: float | None


def read_bars(file: Path, *, symbol: str | None = None, timeframe: str | None = None) -> pd.DataFrame:
    """Read and check one file that fits into memory; returns bars as in ``Chunk``, ordered by their key.

    Raises:
        UserError: the file or a row of it is wrong; the message names the file and the row.
    """
    bars = pd.concat([chunk.bars for chunk in read_chunks(file, symbol=symbol, timeframe=timeframe)])
    key = list(KEY)
    twice = bars.duplicated(key).to_numpy()
    if twice.any():
        position = int(twice.argmax())
        first = int((bars[key] == bars[key].iloc[position]).to_numpy().all(axis=1).argmax())
        raise UserError(there_twice(file, str(bars.index.name), bars.index[position], bars.index[first]))
    return bars.sort_values(key)


def there_twice(file: Path, unit: str, place: int, first: int) -> str:
    """Say that a bar is in a file twice."""
    return (
        f"{file}, {unit} {place}: this bar (same symbol, timeframe and ts) is already in {unit} {first}: "
        "remove one of them."
    )


def read_chunks(
    file: Path, *, symbol: str | None = None, timeframe: str | None = None, rows: int = CHUNK_ROWS
) -> Generator[Chunk]:
    """Read and check a file, at most ``rows`` bars at a time; a bar that is there twice is left to the caller.

    ``symbol`` and ``timeframe`` stand in for columns that the file does not have.

    Raises:
        UserError: the file or a row of it is wrong; the message names the file and the row.
    """
    given = {name: value for name, value in (("symbol", symbol), ("timeframe", timeframe)) if value is not None}
    for name, value in given.items():
        if not value.strip() or "\0" in value:
            raise UserError(f"--{name} is empty: give the {name} of the bars.")
    try:
        with file.open("rb") as stream:
            start = stream.peek(_PEEKED)[:_PEEKED]
            if start.startswith(b"PK\x03\x04"):
                start = start[:4] + start[_ZIP_HEADER:]
            other = next((what for magic, what in _OTHER_FORMATS.items() if start.startswith(magic)), None)
            if other == "a zip archive" and file.suffix.lower() in (".xlsx", ".xlsm"):
                other = "an Excel workbook"
            if other is not None:
                raise _other_format(file, other)
            if start.startswith(_PARQUET):
                yield from _parquet_chunks(file, stream, given, rows)
            elif file.suffix.lower() in (".parquet", ".pq"):
                raise UserError(f"{file} is not a Parquet file, in spite of its name: get it again, or rename it.")
            elif start.startswith(_GZIP):
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    yield from _csv_chunks(file, stream, unpacked, given, rows)
            elif file.suffix.lower() == ".gz":
                raise UserError(f"{file} is not a gzip file, in spite of its name: get it again, or rename it.")
            else:
                yield from _csv_chunks(file, stream, stream, given, rows)
    except FileNotFoundError:
        raise UserError(f"{file} does not exist: correct the name of the file.") from None
    except IsADirectoryError:
        raise UserError(f"{file} is a folder: name the files in it.") from None
    except PermissionError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): correct its permissions.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{file} is a damaged gzip file ({error}): get it again.") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}): get it again.") from error


def _other_format(file: Path, other: str) -> UserError:
    return UserError(f"{file} is {other}, not CSV or Parquet: convert it to one of these.")


# --------------------------------------------------------------------------------------------------- CSV


def _csv_chunks(
    file: Path, stored: io.BufferedReader, stream: io.BufferedReader | gzip.GzipFile, given: dict[str, str], rows: int
) -> Iterator[Chunk]:
    about = os.fstat(stored.fileno())
    size = about.st_size if stat.S_ISREG(about.st_mode) else 0
    start = stream.peek(_PEEKED)[:_PEEKED].removeprefix(_BYTE_ORDER_MARK).lstrip()
    if start[:1] in _OTHER_TEXTS:
        raise _other_format(file, _OTHER_TEXTS[start[:1]])
    # What is not UTF-8 comes through as surrogates, and is refused with its line.
    with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        for bars in _csv_bars(file, text, given, rows):
            yield Chunk(bars, min(stored.tell() / size, 1.0) if size else None)


def _csv_bars(file: Path, text: io.TextIOWrapper, given: dict[str, str], rows: int) -> Iterator[pd.DataFrame]:
    lines = _lines(text, file)
    first_line = next(lines, "")
    _check_separator(file, first_line)
    reader = csv.reader(itertools.chain([first_line], lines), strict=True)
    header = next((row for _, row in _csv_rows(reader, file, None)), None)
    if header is None:
        raise UserError(f"{file} is empty: it needs a header and a row per bar.")
    names = [name.strip().lower() for name in header]
    _check_names(file, names, header, given, f"{file}, line {reader.line_num}: a header is required, with")
    places = {name: names.index(name) for name in COLUMNS if name in names}
    found = False
    while numbered := _csv_rows(reader, file, rows, len(header)):
        found = True
        table = {name: [row[place].strip() for _, row in numbered] for name, place in places.items()}
        bars = pd.DataFrame(index=pd.Index([line for line, _ in numbered], name="line"))
        for name in ("symbol", "timeframe"):
            bars[name] = np.array(table[name], dtype=object) if name in table else given[name]
        bars["ts"] = _parsed_times(file, table["ts"], bars)
        for name in NUMBERS:
            bars[name] = _numbers(table[name])
        _check_values(file, bars, table)
        yield bars
    if not found:
        raise UserError(f"{file} has a header but no bars: there is nothing to load.")


def _check_separator(file: Path, line: str) -> None:
    """Refuse a file whose first line has another separator than commas."""
    for mark, name in _SEPARATORS.items():
        if line.count(mark) >= 3 and line.count(mark) > line.count(","):
            raise UserError(
                f"{file} is separated by {name}, not by commas: save it with commas between the columns, and with "
                "points in its numbers."
            )


def _lines(text: io.TextIOWrapper, file: Path) -> Iterator[str]:
    """Yield the lines of a text, and refuse those that no text has."""
    for number, line in enumerate(iter(lambda: text.readline(_LONGEST_LINE), ""), 1):
        if len(line) == _LONGEST_LINE:
            raise UserError(
                f"{file}, line {number}: the line is longer than {_LONGEST_LINE:,} characters: this is not a CSV file "
                "of bars."
            )
        if not line.isascii() and any("\ud800" <= character <= "\udfff" for character in line):
            raise UserError(f"{file}, line {number}: the text is not UTF-8: save the file with that encoding.")
        if "\0" in line:
            raise UserError(f"{file}, line {number}: there is a zero byte: this is not a CSV file in UTF-8.")
        yield line


def _csv_rows(reader: Any, file: Path, rows: int | None, fields: int | None = None) -> list[tuple[int, list[str]]]:
    """Return line and fields of the next rows that are not blank: up to ``rows``, or the first one (None)."""
    numbered: list[tuple[int, list[str]]] = []
    try:
        while not numbered:
            before = reader.line_num
            numbered = [(reader.line_num, row) for row in itertools.islice(reader, rows or 1) if row]
            if not numbered and reader.line_num == before:
                break
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: {error}: correct the quoting.") from None
    for line, row in numbered:
        if fields is not None and len(row) != fields:
            raise UserError(f"{file}, line {line}: {len(row)} fields where the header has {fields}: correct that line.")
    return numbered


def _numbers(texts: list[str]) -> Floats:
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


# ----------------------------------------------------------------------------------------------- Parquet


def _parquet_chunks(file: Path, stream: io.BufferedReader, given: dict[str, str], rows: int) -> Iterator[Chunk]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            f"{file} is a Parquet file, and the package pyarrow is not installed: "
            "pip install 'pattern-confidence[archive]'."
        ) from None
    if not stream.seekable():
        raise UserError(f"{file} is a Parquet file in a pipe, which cannot be read: store it as a file.")
    try:
        # A buffer makes Arrow read a column page by page instead of a whole row group of it.
        with parquet.ParquetFile(stream, buffer_size=_READ_BUFFER, page_checksum_verification=True) as stored:
            header = stored.schema_arrow.names
            names = [name.strip().lower() for name in header]
            _check_names(file, names, header, given, f"{file} needs")
            wanted = {name: header[names.index(name)] for name in COLUMNS if name in names}
            for name, original in wanted.items():
                _check_type(file, name, stored.schema_arrow.field(original).type)
            total, done = stored.metadata.num_rows, 0
            if total == 0:
                raise UserError(f"{file} has columns but no bars: there is nothing to load.")
            for batch in stored.iter_batches(batch_size=rows, columns=list(wanted.values()), use_threads=False):
                columns = {name: _plain(batch.column(original)) for name, original in wanted.items()}
                yield Chunk(_parquet_bars(file, columns, given, done + 1), (done + batch.num_rows) / total)
                done += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        said = str(error).partition("\n")[0][:120].rstrip(". ")
        raise UserError(f"{file} is a damaged Parquet file ({said}): get it again.") from error


def _check_type(file: Path, name: str, type_: pa.DataType) -> None:
    """Refuse a column of a type that cannot hold its values."""
    from pyarrow import types

    while types.is_dictionary(type_):
        type_ = type_.value_type
    is_text = types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_)
    if name in NUMBERS:
        fits = types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_)
        needed = "numbers"
    elif name == "ts":
        fits = is_text or types.is_timestamp(type_) or types.is_date(type_)
        needed = "timestamps, dates, or times in ISO 8601"
    else:
        fits, needed = is_text, "texts"
    if not (fits or types.is_null(type_)):
        raise UserError(f"{file}: the column {name} has the type {type_}, needed are {needed}: convert it.")


def _plain(values: pa.Array) -> pa.Array:
    """Return the values of a dictionary-encoded column themselves."""
    return values.dictionary_decode() if hasattr(values, "dictionary_decode") else values


def _parquet_bars(file: Path, columns: dict[str, pa.Array], given: dict[str, str], first_row: int) -> pd.DataFrame:
    """Convert and check a batch of columns."""
    rows = len(next(iter(columns.values())))
    bars = pd.DataFrame(index=pd.RangeIndex(first_row, first_row + rows, name="row"))
    for name, values in columns.items():
        _refuse(file, values.is_null().to_numpy(zero_copy_only=False), bars, f"{name} is NULL: fill it or leave it out")
    found: dict[str, Any] = {}
    for name in ("symbol", "timeframe"):
        if name in columns:
            found[name] = _texts(file, name, columns[name], bars)
        bars[name] = np.array(found[name], dtype=object) if name in found else given[name]
    bars["ts"] = _times(file, columns["ts"], bars)
    for name in NUMBERS:
        bars[name] = found[name] = _floats(columns[name])
    _check_values(file, bars, found)
    return bars


def _texts(file: Path, name: str, values: pa.Array, bars: pd.DataFrame) -> list[str]:
    import pyarrow as pa

    raw: list[bytes] = values.cast(pa.large_binary()).to_pylist()
    texts = [text.decode("utf-8", "surrogateescape").strip() for text in raw]
    broken = ["\0" in text or any("\ud800" <= character <= "\udfff" for character in text) for text in texts]
    _refuse(file, np.array(broken), bars, f"{name} is not text in UTF-8: correct it")
    return texts


def _times(file: Path, values: pa.Array, bars: pd.DataFrame) -> pd.Series[Any]:
    """Return times in UTC, to the microsecond."""
    import pyarrow as pa
    from pyarrow import types

    if not (types.is_timestamp(values.type) or types.is_date(values.type)):
        texts = _texts(file, "ts", values, bars)
        return _parsed_times(file, texts, bars)
    if types.is_date(values.type):
        values = values.cast(pa.date32()).cast(pa.int32())
        unit = 86_400_000_000_000
    else:
        unit = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[values.type.unit]
    counts = values.cast(pa.int64()).to_numpy()
    if unit == 1:
        _refuse(file, counts % 1_000 != 0, bars, _TOO_FINE)
        counts, unit = counts // 1_000, 1_000
    unit //= 1_000
    outside = (counts < _FIRST_TIME // unit) | (counts > _LAST_TIME // unit)
    _refuse(file, outside, bars, "ts is not within the years 1 to 9999: correct it")
    return pd.Series((counts * unit).astype("datetime64[us]"), index=bars.index).dt.tz_localize("UTC")


def _floats(values: pa.Array) -> Floats:
    """Return numbers as float64; decimals by way of their digits, which is exact, as from CSV."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_decimal(values.type):
        values = values.cast(pa.string())
    numbers: Floats = values.cast(pa.float64(), safe=False).to_numpy()
    return numbers


# ----------------------------------------------------------------------------------------------- both


def _check_names(file: Path, names: list[str], header: Sequence[str], given: dict[str, str], needs: str) -> None:
    """Refuse a header that lacks a column, has it twice, or has one that is given as an option."""
    for name in names:
        if name in COLUMNS and names.count(name) > 1:
            raise UserError(f"{file} has two columns named {name}: remove one of them.")
    for name in given:
        if name in names:
            raise UserError(f"{file} has a column {name} of its own: leave out --{name}, or remove the column.")
    missing = [name for name in COLUMNS if name not in names and name not in given]
    if all(name in missing for name in ("ts", *NUMBERS)):
        raise UserError(f"{needs} the columns {','.join(COLUMNS)}; found: {','.join(header)[:80]}.")
    if missing:
        hint = " (or give it as an option)" if set(missing) <= {"symbol", "timeframe"} else ""
        raise UserError(f"{file} has no column {', '.join(missing)}: add it{hint}.")


def _parsed_times(file: Path, texts: list[str], bars: pd.DataFrame) -> pd.Series[Any]:
    """Return the times of texts in UTC, to the microsecond."""
    # Without the look at the first character, pandas takes "now" and "today" for times.
    digits = pd.Series([text if text[:1].isdigit() else "" for text in texts], index=bars.index, dtype=object)
    times = pd.to_datetime(digits, utc=True, format="ISO8601", errors="coerce")
    _refuse(file, times.isna(), bars, _NO_TIME, texts)
    _refuse(file, times.dt.nanosecond != 0, bars, _TOO_FINE, texts)
    return times.dt.as_unit("us")


def _check_values(file: Path, bars: pd.DataFrame, found: dict[str, Any]) -> None:
    """Refuse bars that cannot be."""
    for name in ("symbol", "timeframe"):
        _refuse(file, bars[name] == "", bars, f"{name} is empty")
    for name in NUMBERS:
        _refuse(file, bars[name].isna(), bars, f"{name} is not a number", found[name])
        _refuse(file, np.isinf(bars[name]), bars, f"{name} is infinite", found[name])
    for name in PRICES:
        _refuse(file, bars[name] <= 0, bars, f"{name} is not above zero", found[name])
    _refuse(file, bars["volume"] < 0, bars, "volume is negative", found["volume"])
    _refuse(file, bars["high"] < bars["low"], bars, "high is below low")
    _refuse(file, bars["high"] < bars[["open", "close"]].max(axis=1), bars, "high is below open or close")
    _refuse(file, bars["low"] > bars[["open", "close"]].min(axis=1), bars, "low is above open or close")


def _refuse(file: Path, wrong: Any, bars: pd.DataFrame, problem: str, found: Sequence[Any] | None = None) -> None:
    """Report the first wrong row, if there is one."""
    wrong = np.asarray(wrong)
    if not wrong.any():
        return
    position = int(wrong.argmax())
    shown = "" if found is None else f" (found: {str(found[position])[:40] or 'nothing'})"
    advice = "" if ": " in problem else ": correct it, or leave the bar out"
    raise UserError(f"{file}, {bars.index.name} {bars.index[position]}: {problem}{shown}{advice}.")
