"""trainer load-bars on Parquet: every way in which bars can be stored there, and every way in which they cannot."""

import gzip
import os
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from trainer.bar_files import read_bars, read_chunks
from trainer.bars import load_bars
from trainer.errors import UserError
from trainer.resources import sample_bars

TIMES = [datetime(2024, 1, day, 14, 30, tzinfo=UTC) for day in (2, 3, 4)]
MIDNIGHTS = [datetime(2024, 1, day, tzinfo=UTC) for day in (2, 3, 4)]
NAIVE = [time.replace(tzinfo=None) for time in TIMES]


def table(**changed: Any) -> pa.Table:
    """Return three bars, with some columns changed, or left out when they are None."""
    columns = {
        "symbol": pa.array(["A", "A", "B"]),
        "timeframe": pa.array(["1d"] * 3),
        "ts": pa.array(TIMES, pa.timestamp("us", "UTC")),
        "open": pa.array([10.0, 11.0, 12.0]),
        "high": pa.array([12.0, 13.0, 14.0]),
        "low": pa.array([9.0, 10.0, 11.0]),
        "close": pa.array([11.0, 12.0, 13.0]),
        "volume": pa.array([100.0, 0.0, 300.0]),
        **changed,
    }
    return pa.table({name: values for name, values in columns.items() if values is not None})


def write(folder: Path, bars: pa.Table, name: str = "bars.parquet", **options: Any) -> Path:
    parquet.write_table(bars, folder / name, **options)
    return folder / name


def stored(db: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT symbol, timeframe, ts, open, high, low, close, volume FROM public.price_bars ORDER BY 1, 2, 3"
    ).fetchall()


# ----------------------------------------------------------------------------------------------- accepted


def test_parquet_and_csv_of_the_same_bars_are_the_same_bars(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    source = sample_bars()[1]
    load_bars(db, [source])
    bars = pd.read_csv(source, parse_dates=["ts"])
    file = write(tmp_path, pa.Table.from_pandas(bars, preserve_index=False), row_group_size=37)
    report = load_bars(db, [file])[0]
    assert (report.new, report.changed, report.unchanged) == (0, 0, len(bars))
    db.execute("TRUNCATE price_bars")
    assert load_bars(db, [file])[0].new == len(bars)
    again = load_bars(db, [source])[0]
    assert (again.new, again.changed, again.unchanged) == (0, 0, len(bars))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        *[(pa.array(NAIVE, pa.timestamp(unit)), TIMES) for unit in ("s", "ms", "us", "ns")],
        *[(pa.array(TIMES, pa.timestamp(unit, "UTC")), TIMES) for unit in ("ms", "us", "ns")],
        (pa.array(TIMES, pa.timestamp("us", "America/New_York")), TIMES),
        (pa.array(TIMES, pa.timestamp("ns", "+05:30")), TIMES),
        (pa.array([time.date() for time in TIMES], pa.date32()), MIDNIGHTS),
        (pa.array([time.date() for time in TIMES], pa.date64()), MIDNIGHTS),
        (pa.array(["2024-01-02T14:30Z", "2024-01-03T09:30-05:00", " 2024-01-04 14:30:00 "]), TIMES),
        (pa.array([f"{time:%Y-%m-%d}" for time in TIMES], pa.large_string()), MIDNIGHTS),
        (pa.array([f"{time:%Y-%m-%d}" for time in TIMES]).dictionary_encode(), MIDNIGHTS),
        (pa.array([datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(2024, 12, 31)]),
         [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(2024, 12, 31, tzinfo=UTC)]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)  # fmt: skip
def test_times(db: psycopg.Connection[Any], tmp_path: Path, times: pa.Array, expected: list[datetime]) -> None:
    db.execute("SET timezone = 'Asia/Tokyo'")
    load_bars(db, [write(tmp_path, table(ts=times))])
    assert [row[2] for row in stored(db)] == expected


def test_the_last_time_that_can_be_read(tmp_path: Path) -> None:
    last = [datetime(9999, 12, day, tzinfo=UTC) for day in (29, 30, 31)]
    bars = read_bars(write(tmp_path, table(ts=pa.array(last, pa.timestamp("us", "UTC")))))
    assert bars["ts"].dt.to_pydatetime().tolist() == last


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("open", pa.array([10.1, 11.3, 12.7], pa.float32()), [float(np.float32(v)) for v in (10.1, 11.3, 12.7)]),
        ("open", pa.array([10, 11, 12], pa.float16()), [10, 11, 12]),
        ("open", pa.array([Decimal("10.01"), Decimal("11.10"), Decimal("12.3456789012345")], pa.decimal128(38, 20)),
         [10.01, 11.1, 12.3456789012345]),
        ("open", pa.array([Decimal("11.01"), 11, 12], pa.decimal256(60, 10)), [11, 11.01, 12]),
        ("volume", pa.array([1, 2, 3], pa.int32()), [1, 2, 3]),
        ("volume", pa.array([0, 2**53 + 1, 2**63], pa.uint64()), [0, 2.0**53, 2.0**63]),
        ("volume", pa.array([Decimal(10) ** 20] * 3, pa.decimal128(30, 0)), [1e20] * 3),
        ("volume", pa.array([1.5, 1.5, 2.5]).dictionary_encode(), [1.5, 1.5, 2.5]),
        ("symbol", pa.array(["Ä", "Ä", "B"]).dictionary_encode(), ["B", "Ä", "Ä"]),
        ("symbol", pa.array([" A ", "A\t", "B"], pa.large_string()), ["A", "A", "B"]),
    ],
)  # fmt: skip
def test_types(tmp_path: Path, name: str, values: pa.Array, expected: list[Any]) -> None:
    bars = read_bars(write(tmp_path, table(**{name: values})))
    assert sorted(bars[name].tolist()) == expected


def test_column_options_names_and_what_is_ignored(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    bars = table(symbol=None, timeframe=None, nested=pa.array([{"ts": 1}, None, {"ts": 3}]), empty=pa.nulls(3))
    bars = bars.rename_columns([{"ts": " Ts ", "volume": "VOLUME"}.get(name, name) for name in bars.column_names])
    report = load_bars(db, [write(tmp_path, bars, name="any.name")], symbol="X", timeframe="1h")[0]
    assert report.new == 3
    assert {row[:2] for row in stored(db)} == {("X", "1h")}


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_row_groups_and_compression(db: psycopg.Connection[Any], tmp_path: Path, compression: str) -> None:
    file = write(tmp_path, table(), compression=compression, row_group_size=2, data_page_version="2.0")
    assert [report.new for report in load_bars(db, [file])] == [3]


def test_an_index_of_pandas_is_a_column(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    frame = table().to_pandas().set_index(["symbol", "ts"])
    frame.to_parquet(tmp_path / "indexed.parquet")
    assert load_bars(db, [tmp_path / "indexed.parquet"])[0].new == 3


# ----------------------------------------------------------------------------------------------- refused

UTF8 = pa.Array.from_buffers(
    pa.string(), 3, [None, pa.py_buffer(np.array([0, 1, 2, 3], np.int32)), pa.py_buffer(b"A\xffB")]
)

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"close": None}, "has no column close: add it"),
    ({"symbol": None}, r"has no column symbol: add it \(or give it as an option\)"),
    (dict.fromkeys(("ts", "open", "high", "low", "close", "volume")), "needs the columns symbol,.*; found: symbol,timeframe"),
    ({"Close": pa.array([1.0] * 3)}, "two columns named close"),
    ({"close": pa.array(["11", "12", "13"])}, "the column close has the type string, needed are numbers: convert it"),
    ({"close": pa.array([True] * 3)}, "the column close has the type bool, needed are numbers"),
    ({"close": pa.array([[1.0]] * 3)}, "the column close has the type list.*, needed are numbers"),
    ({"symbol": pa.array([1, 2, 3])}, "the column symbol has the type int64, needed are texts"),
    ({"symbol": pa.array([b"A", b"A", b"B"])}, "the column symbol has the type binary, needed are texts"),
    ({"timeframe": pa.array([1, 1, 1]).dictionary_encode()}, "the column timeframe has the type int64, needed are texts"),
    ({"ts": pa.array([1704205800, 1704292200, 1704378600])}, "the column ts has the type int64, needed are timestamps"),
    ({"ts": pa.array([1, 2, 3], pa.time64("us"))}, "the column ts has the type time64.us., needed are timestamps"),
    ({"ts": pa.array([*TIMES[:2], None], pa.timestamp("us"))}, "row 3: ts is NULL: fill it"),
    ({"ts": pa.nulls(3)}, "row 1: ts is NULL"),
    ({"ts": pa.array([0, 1, 1_000], pa.timestamp("ns"))}, "row 2: ts is finer than a microsecond.*round it"),
    ({"ts": pa.array([0, 2**52, 0], pa.timestamp("s"))}, "row 2: ts is not within the years 1 to 9999"),
    ({"ts": pa.array([0, -(2**62), 0], pa.timestamp("us", "UTC"))}, "row 2: ts is not within the years 1 to 9999"),
    ({"ts": pa.array([0, 3_000_000, 0], pa.date32())}, "row 2: ts is not within the years 1 to 9999"),
    ({"ts": pa.array(["2024-01-02", "today", "x"])}, r"row 2: ts is not a time in ISO 8601.*\(found: today\)"),
    ({"ts": pa.array(["2024-01-02", "02.01.2024", "x"])}, r"row 2: ts is not a time in ISO 8601.*\(found: 02.01.2024\)"),
    ({"ts": pa.array(["2024-01-02", "2024-02-30", "x"])}, r"row 2: ts is not a time in ISO 8601.*\(found: 2024-02-30\)"),
    ({"ts": pa.array(["2024-01-02T00:00:00.0000001"] * 3)}, "row 1: ts is finer than a microsecond"),
    ({"symbol": pa.array(["A", None, "B"])}, "row 2: symbol is NULL"),
    ({"symbol": pa.array(["A", None, "B"]).dictionary_encode()}, "row 2: symbol is NULL"),
    ({"symbol": pa.array(["A", " ", "B"])}, "row 2: symbol is empty"),
    ({"symbol": pa.array(["A", "A\0", "B"])}, "row 2: symbol is not text in UTF-8"),
    ({"symbol": UTF8}, "row 2: symbol is not text in UTF-8"),
    ({"close": pa.array([11.0, None, 13.0])}, "row 2: close is NULL"),
    ({"close": pa.array([11.0, float("nan"), 13.0])}, r"row 2: close is not a number \(found: nan\): correct it, or leave"),
    ({"high": pa.array([12.0, float("inf"), 14.0])}, r"row 2: high is infinite \(found: inf\)"),
    ({"low": pa.array([9.0, -float("inf"), 11.0])}, "row 2: low is infinite"),
    ({"low": pa.array([9, -10, 11])}, r"row 2: low is not above zero \(found: -10.0\)"),
    ({"open": pa.array([Decimal(0)] * 3, pa.decimal128(5, 2))}, "row 1: open is not above zero"),
    ({"volume": pa.array([1, 2, -3])}, r"row 3: volume is negative \(found: -3.0\)"),
    ({"high": pa.array([12.0, 9.0, 14.0])}, "row 2: high is below low"),
    ({"high": pa.array([12.0, 11.5, 14.0])}, "row 2: high is below open or close"),
    ({"low": pa.array([9.0, 11.5, 11.0])}, "row 2: low is above open or close"),
    ({"symbol": pa.array(["A"] * 3), "ts": pa.array([TIMES[0], TIMES[1], TIMES[0]])}, "row 3: this bar .* is already in row 1: remove one of them"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "problem"), REFUSED, ids=[problem[:40] for _, problem in REFUSED])
def test_bars_that_cannot_be(tmp_path: Path, changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=rf"bars\.parquet.*{problem}") as refused:
        read_bars(write(tmp_path, table(**changed)))
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_nothing_of_them_is_loaded(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    unknown = ({"timeframe": pa.array(["1d", "1x", "1d"])}, "row 2: the timeframe 1x is unknown: use one of 15m, ")
    for changed, problem in (*REFUSED, unknown):
        with pytest.raises(UserError, match=problem):
            load_bars(db, [write(tmp_path, table(**changed))])
    assert stored(db) == []


def test_rows_are_counted_across_row_groups(tmp_path: Path) -> None:
    bars = table(close=pa.array([11.0, 12.0, float("nan")]))
    with pytest.raises(UserError, match="row 3: close is not a number"):
        read_bars(write(tmp_path, bars, row_group_size=1))


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has columns but no bars"):
        read_bars(write(tmp_path, table().slice(0, 0)))


def flipped(content: bytes) -> bytes:
    """Change a byte of the first column's values."""
    place = content.index(b"A", 4)
    return content[:place] + b"C" + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:4],
        lambda content: content[:200] + bytes(40) + content[240:],
        lambda content: content[:-300] + bytes(200) + content[-100:],
        flipped,
    ],
    ids=["cut at the end", "half", "only the magic", "zeros in a page", "zeros in the footer", "one byte"],
)  # fmt: skip
def test_damaged(tmp_path: Path, damage: Any) -> None:
    file = write(tmp_path, table(), compression="none", write_page_checksum=True)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match=r"bars\.parquet is a damaged Parquet file \(.*\): get it again\.$") as refused:
        read_bars(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("bars.parquet", b"symbol,timeframe\n", "is not a Parquet file, in spite of its name"),
        ("bars.parquet", b"", "is not a Parquet file, in spite of its name"),
        ("bars.pq", gzip.compress(b"x"), "is not a Parquet file, in spite of its name"),
        ("bars.xlsx", b"PK\x03\x04....", "is an Excel workbook, not CSV or Parquet: convert it"),
        ("bars.feather", b"ARROW1\0\0", "is an Arrow .* file, not CSV or Parquet"),
        ("bars.csv.zst", b"\x28\xb5\x2f\xfd....", "is compressed with zstd, not CSV or Parquet"),
        ("bars.json", b'[{"symbol": "A"}]', "is JSON, not CSV or Parquet: convert it"),
        ("bars.dat", b"\x00\x01\x02", "line 1: there is a zero byte: this is not a CSV file"),
        ("bars", b"x" * 1_000_001, "line 1: the line is longer than 1,000,000 characters"),
    ],
)
def test_other_files(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=problem):
        read_bars(tmp_path / name)


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder: name the files in it"):
        read_bars(tmp_path)


def test_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = write(tmp_path, table()).read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    with pytest.raises(UserError, match="is a Parquet file in a pipe, which cannot be read: store it as a file"):
        read_bars(pipe)
    writer.join()


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, table())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pyarrow is not installed: pip install 'pattern-confidence\[archive\]'"):
        read_bars(file)


# ----------------------------------------------------------------------------------------------- any size


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 60),
    chunk=st.integers(1, 70),
    group=st.integers(1, 70),
    seed=st.integers(0, 1000),
    as_csv=st.booleans(),
)
def test_chunks_put_together_are_the_file(
    tmp_path: Path, rows: int, chunk: int, group: int, seed: int, as_csv: bool
) -> None:
    generator = np.random.default_rng(seed)
    low = generator.uniform(1, 100, rows)
    bars = pd.DataFrame(
        {
            "symbol": generator.choice(["A", "Bé", "C, D"], rows),
            "timeframe": "1d",
            "ts": pd.date_range("2020-01-01", periods=rows, tz="UTC", unit="us"),
            "open": low + 1, "high": low * 2 + 2, "low": low, "close": low * 1.5,
            "volume": generator.integers(0, 10**9, rows).astype(float),
        }
    ).sample(frac=1, random_state=seed)  # fmt: skip
    if as_csv:
        file = tmp_path / "bars.csv"
        bars.to_csv(file, index=False)
    else:
        file = write(tmp_path, pa.Table.from_pandas(bars, preserve_index=False), row_group_size=group)
    chunks = list(read_chunks(file, rows=chunk))
    assert all(0 < len(found.bars) <= chunk for found in chunks)
    shares = [found.share for found in chunks]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    read = pd.concat([found.bars for found in chunks])
    first = 2 if as_csv else 1
    assert read.index.tolist() == list(range(first, first + rows))
    for name in bars:
        assert read[name].tolist() == bars[name].tolist()
