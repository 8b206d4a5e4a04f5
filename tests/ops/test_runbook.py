"""The runbook of the README: every command of every situation runs, and prints what is shown."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import START, add_bars, go_live, insert_event, install_model

from trainer.server import find_binaries

README = Path(__file__).parents[2] / "README.md"
CHAPTER = re.search(r"^## Runbook\n(.*?)(?=^## |\Z)", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
SECTIONS = dict(
    re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", CHAPTER[1] if CHAPTER else "", re.MULTILINE | re.DOTALL)
)
BLOCK = re.compile(r"^```(sh|sql|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Setup = Callable[[psycopg.Connection[Any], Path], None]


def live(db: psycopg.Connection[Any], folder: Path, symbol: str = "TEST", events: int = 10) -> None:
    """Enable ML with the released champion, and have events of one symbol scored."""
    add_bars(db, symbol)
    db.execute("SELECT ml.enable('test')")
    insert_events(db, symbol, events)


def insert_events(db: psycopg.Connection[Any], symbol: str, events: int) -> None:
    for day in range(events):
        insert_event(db, symbol=symbol, detected_at=START + timedelta(days=290 - day))


def unscored(db: psycopg.Connection[Any], folder: Path) -> None:
    add_bars(db)
    insert_events(db, "TEST", 10)
    db.execute("SELECT ml.enable('test')")


def two_versions(db: psycopg.Connection[Any], folder: Path) -> None:
    db.execute("SELECT ml.promote('v0001', 'v0002', 'test', p_force => true)")
    db.execute("SELECT ml.promote('v0002', 'v0001', 'looked better', p_force => true)")
    live(db, folder)


def open_breaker(db: psycopg.Connection[Any], folder: Path) -> None:
    add_bars(db)
    install_model(db, "broken", body="ARRAY[1 / (p_features[2] - p_features[2]), 0]::float8[]")
    db.execute("SELECT ml.promote('broken', 'v0002', 'test', p_force => true)")
    db.execute("SELECT ml.enable('test')")
    insert_events(db, "TEST", 30)


def write_bars(db: psycopg.Connection[Any], file: Path, symbol: str) -> None:
    """Write the bars of a symbol as a file."""
    with file.open("wb") as stream, db.cursor() as cursor:
        query = f"SELECT * FROM price_bars WHERE symbol = '{symbol}'"
        with cursor.copy(f"COPY ({query}) TO STDOUT WITH (FORMAT csv, HEADER)") as copy:
            for data in copy:
                stream.write(data)


def late_bars(db: psycopg.Connection[Any], folder: Path) -> None:
    add_bars(db, "LATE")
    write_bars(db, folder / "late.csv", "LATE")
    db.execute("TRUNCATE price_bars")
    db.execute("SELECT ml.enable('test')")
    insert_events(db, "LATE", 5)


def drifted(db: psycopg.Connection[Any], folder: Path) -> None:
    """A baseline on a random walk, then events of one that rises: a higher RSI."""
    add_bars(db)
    go_live(db)
    live_for_every_bar(db, "TEST")
    db.execute("SELECT ml_set_baseline('test', p_model_version => 'toy')")
    add_bars(db, "RISING", seed=2)
    db.execute(
        "UPDATE price_bars SET (open, high, low, close) = (open * f, high * f, low * f, close * f)"
        " FROM (SELECT ts AS at, exp(0.03 * extract(epoch FROM ts - '2024-01-01') / 86400) AS f FROM price_bars"
        " WHERE symbol = 'RISING') AS rise WHERE symbol = 'RISING' AND ts = at"
    )
    for _ in range(4):
        live_for_every_bar(db, "RISING")


def live_for_every_bar(db: psycopg.Connection[Any], symbol: str) -> None:
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT symbol, timeframe, 'bullish_engulfing', ts, 0.6 FROM price_bars WHERE symbol = %s ORDER BY ts OFFSET 40",
        (symbol,),
    )


def degraded(db: psycopg.Connection[Any], folder: Path) -> None:
    """A baseline in which scores come true, then events in which they do not."""
    add_bars(db)
    go_live(db, body="ARRAY[1 - p_features[1] / 100, p_features[1] / 100]::float8[]", features=("rsi_14",),
            card={"golden_rows": [{"features": {"rsi_14": 50.0}, "probabilities": [0.5, 0.5]}]})  # fmt: skip
    label = (
        "UPDATE pattern_events SET outcome_at = detected_at + interval '10 days',"
        " outcome_label = CASE WHEN (ml_confidence > 0.5) = %s THEN 'win' ELSE 'loss' END WHERE outcome_label IS NULL"
    )
    live_for_every_bar(db, "TEST")
    db.execute(label, (True,))
    db.execute("SELECT ml_set_baseline('test', p_model_version => 'toy')")
    for _ in range(4):
        live_for_every_bar(db, "TEST")
    db.execute(label, (False,))


def without_partitions(db: psycopg.Connection[Any], folder: Path) -> None:
    add_bars(db)
    db.execute("SELECT ml.enable('test')")
    for (name,) in db.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ml_predictions'::regclass"
    ).fetchall():
        db.execute(f"DROP TABLE {name}")
    insert_event(db)


def old_predictions(db: psycopg.Connection[Any], folder: Path) -> None:
    live(db, folder)
    db.execute("SELECT ml.create_prediction_partitions(now() - interval '30 weeks', 30)")
    db.execute(
        "INSERT INTO ml_predictions (event_id, predicted_at, source, role, rule_confidence)"
        " SELECT gen_random_uuid(), now() - interval '20 weeks', 'insert', 'rule', 0.5 FROM generate_series(1, 2000)"
    )
    db.execute("SELECT ml.nightly()")


def failing_events(db: psycopg.Connection[Any], folder: Path) -> None:
    add_bars(db)
    insert_events(db, "TEST", 10)
    db.execute("UPDATE pattern_events SET status = 'closed' WHERE detected_at > %s", (START + timedelta(days=287),))
    db.execute(
        "CREATE FUNCTION desk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.status = 'closed' THEN"
        " RAISE EXCEPTION 'closed events are not to be changed'; END IF; RETURN NEW; END $$"
    )
    db.execute(
        "CREATE TRIGGER pattern_events_05_desk BEFORE UPDATE OF model_version ON pattern_events"
        " FOR EACH ROW EXECUTE FUNCTION desk()"
    )
    db.execute("SELECT ml.enable('test')")


def wrong_bars(db: psycopg.Connection[Any], folder: Path) -> None:
    add_bars(db, "ACME")
    write_bars(db, folder / "corrected.csv", "ACME")
    db.execute("UPDATE price_bars SET high = high * 1.1 WHERE ts >= %s", (START + timedelta(days=100),))
    live(db, folder, "OTHER", events=0)
    insert_events(db, "ACME", 5)


def ready(db: psycopg.Connection[Any], folder: Path) -> None:
    """Everything that the checklist asks for."""
    two_versions(db, folder)
    db.execute("SELECT ml.rollback('drill')")
    db.execute("SELECT ml.promote('v0002', 'v0001', 'drill over', p_force => true)")
    live_for_every_bar(db, "TEST")
    db.execute("SELECT ml_set_baseline('first')")
    db.execute("SELECT ml.tick()")


def nothing(db: psycopg.Connection[Any], folder: Path) -> None:
    """A migrated database is enough."""


SITUATIONS: dict[str, Setup] = {
    "Scores look wrong: rules only, at once": unscored,
    "A model is worse than the one before": two_versions,
    "The circuit breaker is open": open_breaker,
    "Events wait for their bars": late_bars,
    "Features have drifted": drifted,
    "Performance has become worse": degraded,
    "The log has no partition": without_partitions,
    "The disk fills up": old_predictions,
    "A backfill reports events that failed": failing_events,
    "A series of bars was wrong": wrong_bars,
    "Restore from a backup": live,
    "Move to another server": live,
    "A wrong URL, a leaked password": nothing,
    "Before going live": ready,
    "The first hour, day and week": live,
}


def test_every_situation_is_set_up_and_none_is_left_out() -> None:
    assert CHAPTER, "README.md has no chapter Runbook"
    assert set(SECTIONS) == set(SITUATIONS)
    assert not BLOCK.search(CHAPTER[1].partition("### ")[0])


@pytest.mark.parametrize("heading", SECTIONS)
def test_commands(db: psycopg.Connection[Any], db_url: str, empty_db_url: str, tmp_path: Path, heading: str) -> None:
    SITUATIONS[heading](db, tmp_path)
    environment = {
        **os.environ,
        "DATABASE_URL": db_url,
        "RESTORED_URL": empty_db_url,
        "PATH": f"{Path(sys.executable).parent}:{find_binaries().folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(README.parent),
        "PGTZ": "UTC",
        "PAGER": "cat",
        "COLUMNS": "200",
    }
    shells = {
        "sh": ["bash", "-euo", "pipefail", "-s"],
        "sql": ["psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", db_url],
    }
    printed: list[str] = []
    for kind, text in BLOCK.findall(SECTIONS[heading]):
        if kind == "text":
            assert_shown(text, printed)
            printed = []
            continue
        done = subprocess.run(
            shells[kind], input=text, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        printed += (done.stdout + done.stderr).splitlines()


def assert_shown(expected: str, printed: list[str]) -> None:
    """Demand that every line of ``expected`` was printed, in that order; ``...`` stands for anything."""
    rest = iter([" ".join(line.split()) for line in printed])
    for line in expected.splitlines():
        parts = [re.escape(part) for part in " ".join(line.split()).split("...")]
        wanted = re.compile(".*".join(parts))
        found = any(wanted.fullmatch(candidate) for candidate in rest)
        assert found, f"not printed, or not in this place: {line}\n" + "\n".join(printed)


def test_what_is_not_shown_is_found() -> None:
    assert_shown(" a | ... c\n t\n", ["x", "a  |  b c", "t"])
    with pytest.raises(AssertionError, match="not printed, or not in this place: b"):
        assert_shown("b\na\nb\n", ["a", "b", "a"])
