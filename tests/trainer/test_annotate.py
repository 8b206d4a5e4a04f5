"""Labelling by hand: the chart, the answers, and a terminal that may go away at any time."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from support import START, add_bars, insert_event, one, rows, value

from trainer.annotate import COLUMNS_PER_BAR, KEYS, Bar, Level, annotate, draw_candles
from trainer.cli import main
from trainer.errors import UserError

DAY = timedelta(days=1)
ROOT = Path(__file__).parents[2]
BODY, WICK = "┃╽╿╻╹", "│╽╿╷╵"


@pytest.fixture
def events(db: psycopg.Connection[Any]) -> list[Any]:
    """Bars, three events whose outcome is known, newest first, and one whose bars have not come."""
    times = add_bars(db)
    insert_event(db, detected_at=times[-1])
    return [
        insert_event(db, detected_at=times[day], pattern_type=pattern)["id"]
        for day, pattern in ((260, "hammer"), (250, "bearish_engulfing"), (240, "hammer"))
    ]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "trainer", "annotate", *arguments]


@pytest.fixture
def environment(db_url: str) -> dict[str, str]:
    plain = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return plain | {
        "DATABASE_URL": db_url,
        "TERM": "xterm",
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "100",
        "LINES": "30",
    }


@pytest.fixture
def run(db_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the verb with answers from a pipe and gives its exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "100")

    def piped(answers: str, *arguments: str, url: str = db_url) -> tuple[Any, str, str]:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setattr("sys.stdin", io.StringIO(answers))
        with pytest.raises(SystemExit) as ended:
            main(["annotate", *arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return piped


def judged(db: psycopg.Connection[Any]) -> dict[Any, str]:
    return {
        row["event_id"]: row["outcome_label"]
        for row in rows(db, "SELECT * FROM pattern_labels WHERE definition = 'analyst' AND withdrawn_at IS NULL")
    }


def answering(*keys: str) -> Any:
    """Return a reader of answers that keeps what was on the screen before each."""
    left: Iterator[str] = iter(keys)

    def read(console: Console) -> str:
        read.screens.append(console.export_text(clear=True))
        return next(left, "q")

    read.screens = []
    return read


def session(db: psycopg.Connection[Any], events: list[Any], *keys: str, **options: Any) -> tuple[Any, list[str]]:
    read = answering(*keys)
    with Path(os.devnull).open("w") as nowhere:
        console = Console(file=nowhere, record=True, width=100, height=30)
        done = annotate(db, events, console=console, read_key=read, analyst="ann", **options)
        read.screens.append(console.export_text())
    return done, read.screens


# ----------------------------------------------------------------------------------------------- the chart


@st.composite
def any_bars(draw: st.DrawFn) -> list[Bar]:
    prices = st.floats(1e-6, 1e9, allow_nan=False)
    bars = []
    for day in range(draw(st.integers(1, 30))):
        low, first, second, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
        opened, closed = (first, second) if draw(st.booleans()) else (second, first)
        bars.append(Bar(START + day * DAY, opened, high, low, closed))
    return bars


@settings(deadline=None, max_examples=60)
@given(any_bars(), st.integers(4, 24), st.data())
def test_a_chart_shows_each_bar_where_its_prices_are(bars: list[Bar], height: int, data: st.DataObject) -> None:
    detected = data.draw(st.integers(0, len(bars) - 1))
    levels = [Level("stop", data.draw(st.floats(1e-6, 1e9)), "red")]
    lines = draw_candles(bars, detected, levels, height=height)
    assert len(lines) == height + 2
    highest = max(*(bar.high for bar in bars), levels[0].price)
    lowest = min(*(bar.low for bar in bars), levels[0].price)
    size = (highest - lowest) / (height - 0.5) or 1.0

    def row_of(price: float) -> float:
        return (highest - price) / size

    for position, bar in enumerate(bars):
        column = [line.plain[COLUMNS_PER_BAR * position] for line in lines[:height]]
        drawn = [row for row, cell in enumerate(column) if cell in BODY + WICK]
        body = [row for row, cell in enumerate(column) if cell in BODY]
        assert drawn == list(range(drawn[0], drawn[-1] + 1))
        assert body
        assert abs(drawn[0] - row_of(bar.high)) <= 1
        assert abs(drawn[-1] - row_of(bar.low)) <= 1
        assert abs(body[0] - row_of(max(bar.open, bar.close))) <= 1
        assert abs(body[-1] - row_of(min(bar.open, bar.close))) <= 1
    assert sum("stop" in line.plain for line in lines) == 1
    assert lines[height].plain[COLUMNS_PER_BAR * detected] == "▲"
    assert f"{len(bars) - detected - 1} bar" in lines[-1].plain


def test_a_chart_without_movement_and_in_plain_characters() -> None:
    bars = [Bar(START + day * DAY, 5.0, 5.0, 5.0, 5.0) for day in range(3)]
    lines = draw_candles(bars, 1, [Level("entry", 5.0, "cyan"), Level("stop", 5.0, "red")], height=6, plain=True)
    text = "\n".join(line.plain for line in lines)
    assert text.isascii()
    assert "5 entry, 5 stop" in text


# --------------------------------------------------------------------------------------------- the answers


def test_answers_are_recorded_and_the_outcome_stays_hidden_until_then(
    db: psycopg.Connection[Any], events: list[Any]
) -> None:
    db.execute("SELECT ml.label_outcomes()")
    done, screens = session(db, events, "w", "s", "t", reason="news")
    assert (done.shown, done.skipped, done.withdrawn, len(done.labels)) == (3, 1, 0, 2)
    assert judged(db) == {events[0]: "win", events[2]: "timeout"}
    stored = one(db, "SELECT * FROM pattern_labels WHERE definition = 'analyst' AND event_id = %s", events[0])
    assert (stored["labelled_by"], stored["reason"]) == ("ann", "news")
    assert value(db, "SELECT label_source FROM pattern_events WHERE id = %s", events[0]) == "analyst"
    assert "TB2" not in screens[0]
    assert not re.search(r"\b(win|loss|timeout)\b", screens[0])
    automatic = one(db, "SELECT * FROM pattern_labels WHERE definition = 'TB2' AND event_id = %s", events[0])
    assert f"TB2 says {automatic['outcome_label']} after {automatic['bars_to_outcome']} bar" in screens[1]
    for word in ("1 of 3", "TEST 1d", "hammer", "bullish", "rule 0.72", "ML none", "target", "entry", "stop", "▲"):
        assert word in screens[0], word
    window = one(db, "SELECT * FROM ml.label_window(%s)", events[0])
    assert f"{window['target_price']:.6g} target" in screens[0]


def test_going_back_and_withdrawing(db: psycopg.Connection[Any], events: list[Any]) -> None:
    done, screens = session(db, events, "l", "b", "d", "w", "b", "b", "q")
    assert "labelled loss by ann" in screens[2]
    assert "withdrawn: loss" in screens[3]
    assert "labelled loss" not in screens[3]
    assert (done.withdrawn, len(done.labels)) == (1, 2)
    assert judged(db) == {events[0]: "win"}
    assert "1 of 3" in screens[-2]


def test_what_cannot_be_recorded_is_said_and_the_rest_goes_on(db: psycopg.Connection[Any], events: list[Any]) -> None:
    gone = insert_event(db, detected_at=START + 200 * DAY)["id"]
    early = value(db, "SELECT id FROM pattern_events ORDER BY detected_at DESC LIMIT 1")
    db.execute("DELETE FROM pattern_events WHERE id = %s", [gone])
    done, screens = session(db, [gone, early, events[0]], "w", "d", "w")
    assert "has gone" in screens[0]
    assert "is not known yet" in screens[1]
    assert "stands: there is nothing to" in screens[2]
    assert judged(db) == {events[0]: "win"}
    assert len(done.labels) == 1


def test_a_lost_connection_keeps_what_was_recorded(db: psycopg.Connection[Any], db_url: str, events: list[Any]) -> None:
    with psycopg.connect(db_url, autocommit=True) as connection:

        def read(_: Console) -> str:
            if judged(db):
                db.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
            return "w"

        with (
            Path(os.devnull).open("w") as nowhere,
            pytest.raises(UserError, match="after 1 labels, which are recorded"),
        ):
            annotate(connection, events, console=Console(file=nowhere), read_key=read)
    assert judged(db) == {events[0]: "win"}


# -------------------------------------------------------------------------------------------- the program


def test_piped_answers_and_filters(db: psycopg.Connection[Any], events: list[Any], run: Any) -> None:
    code, said, errors = run("win\nwhat\nS\n", "--pattern", "HAMMER", "--symbol", "TEST", "--limit", "5")
    assert (code, errors) == (0, "")
    assert "2 of 2" in said
    assert "'what' is none of the keys" in said
    assert said.endswith("1 labelled, 1 skipped, 0 withdrawn\n")
    assert judged(db) == {events[0]: "win"}
    # Judged ones do not come again; the end of the input ends it; JSON stands alone on stdout.
    since = (START + 245 * DAY).date().isoformat()
    _, said, errors = run("l\n", "--json", "--analyst", "bob", "--since", since)
    assert json.loads(said) == {
        "shown": 1,
        "labelled": 1,
        "skipped": 0,
        "withdrawn": 0,
        "labels": [{"event_id": str(events[1]), "outcome_label": "loss"}],
    }
    assert "1 of 1" in errors
    assert value(db, "SELECT labelled_by FROM pattern_labels WHERE event_id = %s", events[1]) == "bob"
    assert json.loads(run("", "--unlabelled", "--json")[1])["shown"] == 1
    db.execute("SELECT ml.label_outcomes()")
    assert json.loads(run("", "--unlabelled", "--json")[1])["shown"] == 0
    assert "1 of 3" in run("", "--all")[1]
    assert "labelled loss by bob: judged on the chart" in run("d\n", "--event", str(events[1]))[1]
    assert judged(db) == {events[0]: "win"}
    assert "No event to judge" in run("", "--symbol", "NONE")[1]


def test_wrong_use_is_a_sentence(run: Any, empty_db_url: str) -> None:
    assert run("", "--reason", " ")[::2] == (1, "trainer: The reason is empty: say why in a few words.\n")
    code, _, errors = run("", url=empty_db_url)
    assert code == 1
    assert "has no function ml.label_window" in errors
    assert len(set(KEYS)) == 7


def test_keys_of_a_terminal_and_an_interrupt(
    db: psycopg.Connection[Any], events: list[Any], environment: dict[str, str]
) -> None:
    master, slave = os.openpty()
    child = subprocess.Popen(
        command("--analyst", "ann"), stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT
    )
    os.close(slave)
    seen = b""

    def press(key: bytes, answer: bytes) -> None:
        """Press a key until it is answered: what is typed before the program listens is thrown away."""
        nonlocal seen
        pressed = 0.0
        until = time.monotonic() + 60
        while answer not in seen and time.monotonic() < until:
            if b" quit" in seen and time.monotonic() > pressed + 5:
                os.write(master, key)
                pressed = time.monotonic()
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 65536)
        assert answer in seen, seen.decode()

    try:
        press(b"w", b"recorded win")
        assert judged(db)[events[0]] == "win"
        press(b"x", b"none of the keys")
        press(b"\x03", b"Interrupted; run it again")
        assert child.wait(30) == 130
    finally:
        child.kill()
        child.wait()
        os.close(master)
    assert judged(db)[events[0]] == "win"


def test_an_interrupt_while_a_pipe_is_read_loses_nothing(
    db: psycopg.Connection[Any], events: list[Any], environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=ROOT
    ) as child:
        assert child.stdin is not None
        child.stdin.write(b"t\n")
        child.stdin.flush()
        until = time.monotonic() + 30
        while not judged(db) and time.monotonic() < until:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
    assert (child.returncode, said) == (
        130,
        b"Interrupted; run it again: what was finished stays, the rest starts over.\n",
    )
    assert judged(db) == {events[0]: "timeout"}
