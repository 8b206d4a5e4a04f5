"""trainer load-bars: what is loaded, what is refused, and that a file is loaded as a whole or not at all."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from trainer.bar_files import read_bars
from trainer.bars import LoadReport, load_bars
from trainer.errors import UserError
from trainer.resources import sample_bars

HEADER = "symbol,timeframe,ts,open,high,low,close,volume"
GOOD = "A,1d,2024-01-02,10,12,9,11,100"


def write(folder: Path, *lines: str, name: str = "bars.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def stored(db: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT symbol, timeframe, ts, open, high, low, close, volume FROM public.price_bars ORDER BY 1, 2, 3"
    ).fetchall()


def counts(report: LoadReport) -> tuple[int, int, int]:
    return report.new, report.changed, report.unchanged


def test_sample_bars_load_exactly_and_only_once(db: psycopg.Connection[Any]) -> None:
    files = sample_bars()
    assert len(files) == 5
    said: list[tuple[str, int, int]] = []
    first = load_bars(db, files, progress=lambda *step: said.append(step))
    assert sum(report.new for report in first) == 12_154
    assert all(report.changed == report.unchanged == 0 for report in first)
    assert {(what, done == total) for what, done, total in said} == {
        (f"{file.name}: {step}", True) for file in files for step in ("reading", "storing")
    }

    versions = "SELECT symbol, ts, xmin, ctid FROM public.price_bars ORDER BY 1, 2"
    before = db.execute(versions).fetchall()
    again = load_bars(db, files)
    assert [counts(report) for report in again] == [(0, 0, report.new) for report in first]
    assert db.execute(versions).fetchall() == before

    expected = pd.concat([pd.read_csv(file, parse_dates=["ts"]) for file in files])
    expected["ts"] = expected["ts"].dt.tz_localize("UTC")
    expected = expected.sort_values(["symbol", "timeframe", "ts"])
    assert stored(db) == list(expected.itertuples(index=False, name=None))


def test_only_bars_that_differ_are_written(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    days = [f"A,1d,2024-01-0{day},10,12,9,11,100" for day in range(1, 5)]
    load_bars(db, [write(tmp_path, HEADER, *days)])
    before = dict(db.execute("SELECT ts, ctid FROM public.price_bars").fetchall())
    days[1] = days[1].replace("11,100", "11.5,100")
    report = load_bars(db, [write(tmp_path, HEADER, *days, "A,1d,2024-01-09,10,12,9,11,100")])[0]
    assert counts(report) == (1, 1, 3)
    after = dict(db.execute("SELECT ts, ctid FROM public.price_bars").fetchall())
    corrected = datetime(2024, 1, 2, tzinfo=UTC)
    assert {ts for ts in before if before[ts] != after[ts]} == {corrected}
    assert [row[6] for row in stored(db) if row[2] == corrected] == [11.5]


def test_what_a_file_may_look_like(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    lines = (
        " Volume ,note,TS,high,low,open,close",
        '100,"a, note",2024-01-02T00:00:00+02:00,12,9,10,11',
        "",
        "1e3,,2024-01-03 04:00,1.2e1,9.0,1.0E+01,11.000000000000002",
    )
    file = tmp_path / "odd.csv.gz"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbf" + "\r\n".join(lines).encode()))
    db.execute("SET timezone = 'Asia/Tokyo'")
    report = load_bars(db, [file], symbol="Ä", timeframe="1h")[0]
    assert counts(report) == (2, 0, 0)
    assert stored(db) == [
        ("Ä", "1h", datetime(2024, 1, 1, 22, tzinfo=UTC), 10, 12, 9, 11, 100),
        ("Ä", "1h", datetime(2024, 1, 3, 4, tzinfo=UTC), 10, 12, 9, 11.000000000000002, 1000),
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("A,1d,2024-01-03,10,12,9,11", "7 fields where the header has 8"),
        ("A,1d,2024-01-03,10,12,9,11,100,1", "9 fields where the header has 8"),
        ("A,1d,2024-01-03,10,12,9,eleven,100", r"close is not a number \(found: eleven\)"),
        ("A,1d,2024-01-03,10,12,9,,100", r"close is not a number \(found: nothing\)"),
        ("A,1d,2024-01-03,10,12,9,NaN,100", r"close is not a number \(found: NaN\)"),
        ("A,1d,2024-01-03,10,1e999,9,11,100", "high is infinite"),
        ("A,1d,2024-01-03,10,12,9,11,-1", "volume is negative"),
        ("A,1d,2024-01-03,10,12,-9,11,100", "low is not above zero"),
        ("A,1d,2024-01-03,0,12,0,11,100", "open is not above zero"),
        ("A,1d,2024-01-03,10,9,12,11,100", "high is below low"),
        ("A,1d,2024-01-03,10,10.5,9,11,100", "high is below open or close"),
        ("A,1d,2024-01-03,10,12,10.5,11,100", "low is above open or close"),
        ("A,1d,2024-01-32,10,12,9,11,100", r"ts is not a time in ISO 8601.*\(found: 2024-01-32\)"),
        ("A,1d,03/01/2024,10,12,9,11,100", "ts is not a time in ISO 8601"),
        ("A,1d,2024-01-02T00:00:00Z,10,12,9,11,100", "this bar .* is already in line 2"),
        ("A,1x,2024-01-03,10,12,9,11,100", "timeframe 1x is unknown.*add it to the table ml_timeframes"),
        (",1d,2024-01-03,10,12,9,11,100", "symbol is empty"),
        ('A,1d,2024-01-03,10,12,9,11,"100', "correct the quoting"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_loaded(
    db: psycopg.Connection[Any], tmp_path: Path, row: str, problem: str
) -> None:
    file = write(tmp_path, HEADER, GOOD, row)
    with pytest.raises(UserError, match=f"bars.csv, line 3: .*{problem}"):
        load_bars(db, [file])
    assert stored(db) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (HEADER.encode() + b"\n", "has a header but no bars"),
        (GOOD.encode() + b"\n", "line 1: a header is required"),
        (
            b"symbol,ts,open,high,low,close,volume\nA,2024-01-02,1,1,1,1,1\n",
            "no column timeframe.*as an option",
        ),
        (
            b"symbol,timeframe,ts,open,high,low,volume\nA,1d,2024-01-02,1,1,1,1\n",
            "has no column close: add it",
        ),
        (f"{HEADER},close\n{GOOD},1\n".encode(), "two columns named close"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "line 1: the text is not UTF-8"),
        (f"{HEADER}\n{GOOD}\nÄ,1d".encode("latin-1"), "line 3: the text is not UTF-8"),
        (f"{HEADER}\n\0{GOOD}\n".encode(), "line 2: there is a zero byte"),
        (gzip.compress(f"{HEADER}\n{GOOD}\n".encode())[:-9], "damaged gzip file"),
    ],
)
def test_a_file_that_is_no_bars_file(db: psycopg.Connection[Any], tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "bars.csv"
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"bars.csv.*{problem}"):
        load_bars(db, [file])
    assert stored(db) == []


def test_a_name_that_promises_gzip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bars\.csv\.gz is not a gzip file"):
        read_bars(write(tmp_path, HEADER, GOOD, name="bars.csv.gz"))


@pytest.mark.parametrize("option", ["symbol", "timeframe"])
def test_an_option_never_hides_a_column(tmp_path: Path, option: str) -> None:
    with pytest.raises(UserError, match=f"has a column {option} of its own: leave out --{option}"):
        read_bars(write(tmp_path, HEADER, GOOD), **{option: "1d"})


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        read_bars(tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match="is a folder"):
        read_bars(tmp_path)


def test_each_file_is_a_committed_transaction(db: psycopg.Connection[Any], db_url: str, tmp_path: Path) -> None:
    good = write(tmp_path, HEADER, GOOD, name="good.csv")
    bad = write(tmp_path, HEADER, GOOD.replace("A", "B", 1), "B,1d,oops,10,12,9,11,100", name="bad.csv")
    with psycopg.connect(db_url) as connection:
        with pytest.raises(UserError, match=r"bad\.csv, line 3.*; loaded before it: good\.csv\.$"):
            load_bars(connection, [good, bad])
        assert [row[0] for row in stored(db)] == ["A"]


def test_a_database_without_tables_is_a_sentence(empty_db: psycopg.Connection[Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="alembic upgrade head"):
        load_bars(empty_db, [write(tmp_path, HEADER, GOOD)])
