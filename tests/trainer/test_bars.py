"""trainer load-bars: what is loaded, what is refused, and that a file is loaded as a whole or not at all."""

import errno
import functools
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from support import START, add_bars

from trainer import bars as bars_module
from trainer.bar_files import read_bars, read_chunks
from trainer.bars import LoadReport, load_bars
from trainer.cli import main
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
    ends = {what: (done, total) for what, done, total in said}
    steps = [f"{file.name}: {step}" for file in files for step in ("reading", "storing")]
    assert list(ends) == steps
    assert [done for done, _ in ends.values()] == [total for _, total in ends.values()]

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
        ("A,1d,today,10,12,9,11,100", r"ts is not a time in ISO 8601.*\(found: today\): correct it"),
        ("A,1d,,10,12,9,11,100", r"ts is not a time in ISO 8601.*\(found: nothing\)"),
        ("A,1d,2024-01-02T00:00:00.0000001,10,12,9,11,100", "ts is finer than a microsecond.*round it"),
        ("A,1d,2024-01-03,10,-inf,9,11,100", "high is infinite"),
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


@pytest.mark.parametrize(
    ("mark", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")], ids=["semicolon", "tab", "bar"]
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_another_separator_is_named(tmp_path: Path, mark: str, name: str, quote: str) -> None:
    header = mark.join(f"{quote}{column}{quote}" for column in HEADER.split(","))
    bar = GOOD.replace(",", mark).replace("12", "12,5")
    for lines in ([header, bar], [bar, bar]):
        with pytest.raises(UserError, match=f"bars.csv is separated by {name}, not by commas: save it with commas"):
            read_bars(write(tmp_path, *lines))


def test_other_marks_within_columns_are_no_separators(tmp_path: Path) -> None:
    file = write(tmp_path, HEADER + ",a;b;c;d", GOOD.replace("A", "A|B;C", 1) + ",;;;;;;;;;;")
    assert read_bars(file)["symbol"].tolist() == ["A|B;C"]


def archive(*names: str, mimetype: str | None = None) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        if mimetype:
            packed.writestr("mimetype", mimetype)
        for name in names:
            packed.writestr(name, "x")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
        (archive("_rels/.rels", "xl/workbook.xml"), "an Excel workbook"),
        (
            archive("content.xml", mimetype="application/vnd.oasis.opendocument.spreadsheet"),
            "an OpenDocument spreadsheet",
        ),
        (archive("bars.csv"), "a zip archive"),
        (b'[{"symbol": "A", "ts": "2024-01-02"}]', "JSON"),
        (b'\xef\xbb\xbf\n {"bars": [' + b"1, " * 500_000 + b"1]}", "JSON"),
        (gzip.compress(b'{"bars": []}'), "JSON"),
        (b"<!DOCTYPE html><html>Please sign in</html>", "HTML or XML"),
        (b"%PDF-1.7", "a PDF document"),
    ],
    ids=str,
)
def test_another_format_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    file = tmp_path / "bars.csv"
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"bars\.csv is {name}, not CSV or Parquet: convert it"):
        read_bars(file)


# ------------------------------------------------------------------------------------------- opening times


def bar(ts: datetime | str, timeframe: str = "1h", symbol: str = "A") -> str:
    return f"{symbol},{timeframe},{ts if isinstance(ts, str) else ts.isoformat()},10,12,9,11,100"


@pytest.mark.parametrize("timeframe", ["1m", "1h", "1d", "1M"])
def test_a_bar_in_the_future_is_refused(db: psycopg.Connection[Any], tmp_path: Path, timeframe: str) -> None:
    now = datetime.now(UTC)
    length = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1), "1M": timedelta(days=31)}
    late = bar(now + length[timeframe] + timedelta(minutes=7), timeframe)
    with pytest.raises(UserError, match=rf"line 3: a bar of {timeframe} that opens at .* is in the future.*in UTC\?"):
        load_bars(db, [write(tmp_path, HEADER, GOOD, late)])
    assert stored(db) == []
    # The bar that is still open, by its end; and clocks differ.
    minimum = timedelta(days=28) if timeframe == "1M" else length[timeframe]
    report = load_bars(db, [write(tmp_path, HEADER, GOOD, bar(now + minimum + timedelta(minutes=2), timeframe))])
    assert report[0].new == 2


@pytest.mark.parametrize(
    ("timeframe", "times"),
    [
        ("1h", ["2024-01-02T09:30Z", "2024-01-02T10:30Z", "2024-01-03T09:30Z"]),
        ("1h", ["2024-01-02T00:00Z", "2024-01-02T01:00Z", "2024-01-02T03:30Z"]),  # after a lunch break
        ("1d", ["2024-03-08T22:00Z", "2024-03-09T22:00Z", "2024-03-10T21:00Z"]),  # clocks put forward
        ("1d", ["2024-01-02T18:15Z", "2024-01-03T18:15Z"]),  # midnight in Kathmandu
        ("4h", ["2024-03-10T05:00Z", "2024-03-10T08:00Z"]),
        ("1w", ["2024-03-03T22:00Z", "2024-03-10T21:00Z"]),
        ("1M", ["2024-01-31T23:00Z", "2024-02-29T23:00Z", "2024-03-31T22:00Z", "2024-04-30T22:00Z"]),
        ("1m", ["2024-01-02T09:31Z", "2024-01-02T09:32Z", "2024-01-02T09:37Z"]),
        ("5m", ["2024-01-02T09:35Z", "2024-01-02T09:40Z"]),
    ],
)
def test_sessions_and_time_zones_are_no_odd_times(
    db: psycopg.Connection[Any], tmp_path: Path, timeframe: str, times: list[str]
) -> None:
    file = write(tmp_path, HEADER, *(bar(time, timeframe) for time in times), *(bar(t, timeframe, "B") for t in times))
    assert load_bars(db, [file])[0].warnings == ()


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("timeframe", "times", "said"),
    [
        (
            "1h",
            ["09:30", "11:07", "12:30", "14:30:33", "16:30"],
            "2 bars open at a time at which no bar.*first: line 3",
        ),
        ("1m", ["09:30", "09:31:00.5"], "1 bar opens at a time at which no bar.*first: line 3"),
        ("5m", ["09:30", "09:36"], "1 bar opens at a time at which no bar of its timeframe opens"),
        ("1h", ["10:00", "10:15", "10:30"], "2 bars open at a time before the previous bar.*first: line 3"),
        ("1d", ["12:00", "10:00"], "1 bar opens at a time before the previous bar.*first: line 2"),
    ],
)
def test_odd_times_are_loaded_with_a_warning(
    db: psycopg.Connection[Any], tmp_path: Path, timeframe: str, times: list[str], said: str
) -> None:
    file = write(tmp_path, HEADER, *(bar(f"2024-01-02T{time}Z", timeframe) for time in times))
    report = load_bars(db, [file])[0]
    assert report.new == len(times)
    (warning,) = report.warnings
    assert re.search(said, warning), warning


def test_the_command_warns_on_stderr(
    db: psycopg.Connection[Any], db_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, HEADER, bar("2024-01-02T10:07Z"))
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["load-bars", str(file), "--database-url", db_url, *options])
        assert ended.value.code == 0
        out, err = capsys.readouterr()
        if options:
            assert "1 bar opens" in json.loads(out)[0]["warnings"][0]
        else:
            assert out == "bars.csv: 1 new, 0 changed, 0 unchanged\n"
            assert "Warning: bars.csv: 1 bar opens at a time at which no bar of its timeframe opens" in err


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


# ------------------------------------------------------------------------------------------- files of any size


def lines_of(count: int, symbol: str = "A") -> list[str]:
    first = datetime(2020, 1, 1, tzinfo=UTC)
    return [f"{symbol},1d,{first + timedelta(days=day):%Y-%m-%d},10,12,9,11,{day}" for day in range(count)]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read two bars at a time, and store three in a statement."""
    monkeypatch.setattr(bars_module, "read_chunks", functools.partial(read_chunks, rows=2))
    monkeypatch.setattr(bars_module, "_PART_BARS", 3)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(("first", "second"), [(2, 9), (8, 9), (2, 3)])
def test_a_bar_that_is_there_twice_is_found_across_chunks(
    db: psycopg.Connection[Any], tmp_path: Path, first: int, second: int
) -> None:
    lines = lines_of(12)
    lines[second - 2] = lines[first - 2].replace(",10,12", ",10,12.5")
    with pytest.raises(UserError, match=f"line {second}: this bar .* is already in line {first}: remove one of them"):
        load_bars(db, [write(tmp_path, HEADER, *lines)])
    assert stored(db) == []


@pytest.mark.usefixtures("small_chunks")
def test_a_late_bad_line_leaves_nothing_of_the_chunks_before(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 14: close is not a number"):
        load_bars(db, [write(tmp_path, HEADER, *lines_of(12), "A,1d,2021-01-01,10,12,9,x,1")])
    assert stored(db) == []


@pytest.mark.parametrize("history", ["none", "before", "after", "between"])
def test_bars_stored_in_parts_have_the_indicators_of_one_insert(
    db: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: str
) -> None:
    for seed, symbol in enumerate(("X", "a", "Ä")):
        add_bars(db, symbol, 120, seed=seed)
    bars = stored(db)
    indicators = "SELECT md5(string_agg(i::text, '|' ORDER BY symbol, timeframe, ts)) FROM ml.bar_indicators AS i"
    expected = db.execute(indicators).fetchone()
    kept = {"none": [], "before": range(50), "after": range(100, 120), "between": range(40, 60)}[history]
    db.execute("DELETE FROM price_bars WHERE NOT ts = ANY (%s)", ([START + timedelta(days=day) for day in kept],))
    text = [f"{s},{t},{ts.isoformat()},{','.join(repr(value) for value in values)}" for s, t, ts, *values in bars]
    monkeypatch.setattr(bars_module, "_PART_BARS", 50)
    said: list[tuple[str, int, int]] = []
    report = load_bars(db, [write(tmp_path, HEADER, *text)], progress=lambda *step: said.append(step))[0]
    assert counts(report) == (360 - 3 * len(kept), 0, 3 * len(kept))
    assert stored(db) == bars
    assert db.execute(indicators).fetchone() == expected
    steps = [done for what, done, _ in said if what == "bars.csv: storing"]
    # A series that only grows is stored in slices; small rests of series go together.
    assert (
        steps
        == {
            "none": [0, 50, 100, 170, 220, 290, 340, 360],
            "before": [0, 50, 120, 190, 210],
            "after": [0, 100, 200, 300],
            "between": [0, 100, 200, 300],
        }[history]
    )
    assert {total for what, _, total in said if what == "bars.csv: storing"} == {steps[-1]}


def test_progress_is_estimated_while_a_file_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, HEADER, *lines_of(3000))
    shares = [chunk.share for chunk in read_chunks(file, rows=200)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] == 1


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(bars: int) -> int:
        file = write(tmp_path, HEADER, *lines_of(bars))
        tracemalloc.start()
        try:
            assert sum(len(chunk.bars) for chunk in read_chunks(file, rows=200)) == bars
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(400)
    assert peak(8_000) < 1.3 * peak(800)


def test_a_pipe_is_read_to_its_end(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = gzip.compress("\n".join([HEADER, *lines_of(50)]).encode())
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert load_bars(db, [pipe])[0].new == 50
    writer.join()


# ------------------------------------------------------------------------------------------- what may fail


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (errno.EACCES, r"cannot be read \(Permission denied\): correct its permissions"),
        (errno.EIO, r"cannot be read \(Input/output error\): get it again"),
    ],
)
def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, problem: str) -> None:
    def refuse(*_: Any) -> io.BufferedReader:
        raise OSError(code, os.strerror(code))

    file = write(tmp_path, HEADER, GOOD)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=f"bars.csv {problem}"):
        read_bars(file)


def test_a_gzip_file_that_is_damaged_in_the_middle(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    content = bytearray(gzip.compress("\n".join([HEADER, *lines_of(6_000)]).encode()))
    content[len(content) // 2] ^= 0xFF
    file = tmp_path / "bars.csv.gz"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"bars\.csv\.gz is a damaged gzip file \(.*\): get it again|line \d+: "):
        load_bars(db, [file])
    assert stored(db) == []


@pytest.mark.parametrize("option", ["symbol", "timeframe"])
def test_an_empty_option(tmp_path: Path, option: str) -> None:
    with pytest.raises(UserError, match=f"--{option} is empty"):
        read_bars(write(tmp_path, HEADER, GOOD), **{option: " "})


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("step", ["reading", "storing"])
def test_a_server_that_goes_away(db: psycopg.Connection[Any], db_url: str, tmp_path: Path, step: str) -> None:
    file = write(tmp_path, HEADER, *lines_of(40))
    with psycopg.connect(db_url) as connection:

        def end_it(what: str, _done: int, _total: int) -> None:
            if what == f"bars.csv: {step}":
                db.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

        with pytest.raises(UserError, match=r"connection to the server was lost while .*bars\.csv was being loaded"):
            load_bars(connection, [file], progress=end_it)
    assert stored(db) == []
    if step == "storing":
        assert load_bars(db, [file])[0].new == 40


@pytest.mark.parametrize(
    ("state", "message", "problem"),
    [
        ("53100", "could not extend file: No space left on device",
         "the server said: could not extend file: No space left on device; make room on the server"),
        ("40P01", "deadlock detected", "deadlock detected; load the file again when the server is less busy"),
        ("57014", "canceling statement due to statement timeout", "statement timeout; load the file again.*longer time limit"),
        ("23514", "symbols of this desk only", "symbols of this desk only; correct that, then load the file again"),
    ],
)  # fmt: skip
def test_errors_of_the_server(
    db: psycopg.Connection[Any], tmp_path: Path, state: str, message: str, problem: str
) -> None:
    db.execute(
        "CREATE FUNCTION refuse_bars() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{state}'; END $$"
    )
    db.execute("CREATE TRIGGER refuse AFTER INSERT ON price_bars FOR EACH STATEMENT EXECUTE FUNCTION refuse_bars()")
    with pytest.raises(UserError, match=rf"^Nothing of .*bars\.csv was loaded, because .*{problem}.*\.$"):
        load_bars(db, [write(tmp_path, HEADER, GOOD)])
    assert stored(db) == []


def run(*arguments: str | Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trainer", "load-bars", *map(str, arguments), "--database-url", url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("step", ["reading", "storing"])
def test_an_interrupt_leaves_nothing_half(db: psycopg.Connection[Any], db_url: str, tmp_path: Path, step: str) -> None:
    done = write(tmp_path, HEADER, GOOD, name="done.csv")
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    if step == "reading":
        file = tmp_path / "pipe"
        os.mkfifo(file)
        process = run(done, file, url=db_url)
        held = file.open("w")
        held.write("\n".join([HEADER, *lines_of(30_000, "B")]))
        held.flush()
        waits = f"{others} AND query LIKE 'COPY%'"
    else:
        db.execute(
            "CREATE FUNCTION wait_for_b() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM bars WHERE"
            " symbol = 'B') THEN PERFORM pg_sleep(60); END IF; RETURN NULL; END $$"
        )
        db.execute(
            "CREATE TRIGGER wait AFTER INSERT ON price_bars REFERENCING NEW TABLE AS bars"
            " FOR EACH STATEMENT EXECUTE FUNCTION wait_for_b()"
        )
        process = run(done, write(tmp_path, HEADER, *lines_of(40, "B")), url=db_url)
        waits = f"{others} AND wait_event = 'PgSleep'"
    deadline = time.monotonic() + 30
    while db.execute(waits).fetchone() == (0,) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert (out, err) == ("", "Interrupted; run it again: what was finished stays, the rest starts over.\n")
    assert [row[0] for row in stored(db)] == ["A"]
    while db.execute(others).fetchone() != (0,):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if step == "reading":
        held.close()


def test_json_and_a_sentence_on_stderr(db_url: str, tmp_path: Path) -> None:
    good = write(tmp_path, HEADER, *lines_of(3), name="good.csv")
    bad = write(tmp_path, HEADER, GOOD.replace("11,100", "11,x"), name="bad.csv")
    process = run(good, "--json", url=db_url)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out) == [{"file": str(good), "new": 3, "changed": 0, "unchanged": 0, "warnings": []}]
    process = run(good, bad, "--json", url=db_url)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert err == (
        f"trainer: {bad}, line 2: volume is not a number (found: x): correct it, or leave the bar out; "
        "loaded before it: good.csv.\n"
    )
