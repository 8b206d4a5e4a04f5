"""The demo: the whole way from an empty database to live scoring, twice, and never over other people's data."""

from io import StringIO

import pytest
from rich.console import Console
from support import add_bars, insert_event, rows, value

from trainer.bars import load_bars
from trainer.demo import LIVE_EVENTS, _live_table, _same_database, demo
from trainer.errors import UserError
from trainer.migrations import upgrade
from trainer.resources import sample_bars
from trainer.sql import statement


@pytest.fixture
def run(empty_db_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path))

    def run_demo():
        output = StringIO()
        demo(empty_db_url, Console(file=output, width=80, highlight=False))
        return output.getvalue()

    return run_demo


def test_the_demo_runs_twice_without_harm(empty_db, run):
    first = run()
    assert value(empty_db, "SELECT ml_health()")["status"] == "healthy"
    live = rows(empty_db, "SELECT * FROM ml_predictions WHERE source = 'insert' AND role = 'champion'")
    assert len(live) == LIVE_EVENTS
    assert all(row["fallback_reason"] is None and row["ml_confidence"] is not None for row in live)
    unscored = value(empty_db, "SELECT count(*) FROM pattern_events WHERE model_version IS NULL")
    assert unscored == 0
    events = rows(empty_db, "SELECT id, blended_confidence, outcome_label FROM pattern_events ORDER BY id")
    deployments = value(empty_db, "SELECT count(*) FROM ml_deployments")

    # What the demo advises does not get in its way.
    empty_db.execute(statement("example_insert"))
    second = run()
    empty_db.execute("DELETE FROM pattern_events WHERE metadata ->> 'source' IS DISTINCT FROM 'trainer harvest'")
    again = rows(empty_db, "SELECT id, blended_confidence FROM pattern_events ORDER BY id")
    assert again == [{"id": row["id"], "blended_confidence": row["blended_confidence"]} for row in events]
    assert value(empty_db, "SELECT count(*) FROM ml_deployments") == deployments
    assert " 0 of them new" in second
    assert "passed  golden rows: 20 rows, largest difference " in first
    assert "0 changed" in first
    assert "would confirm" in " ".join(first.split())
    assert "too far off: 0" in first
    assert "its score was moved most, in log-odds, by " in " ".join(first.split())
    assert "keeps running" not in first  # the server is not the demo's
    for text in (first, second):
        assert "healthy" in text
        assert max(len(line.rstrip()) for line in text.split("Done")[0].splitlines()) <= 80
        assert "…" not in text
        shell, psql = text.split("In a shell:")[1].split("In psql:")
        assert "export DATABASE_URL=" in shell
        assert '"$DATABASE_URL"' in shell
        assert "db url" not in shell
        assert "--database-url" not in text
        assert "INSERT INTO pattern_events" in psql


def own_bars(db):
    add_bars(db, "MINE")


def own_bars_of_a_shipped_symbol(db):
    add_bars(db, "IBM", 5)


def a_corrected_bar(db):
    load_bars(db, sample_bars()[:1])
    db.execute("UPDATE price_bars SET close = low WHERE symbol = 'AAPL' AND ts = '2005-03-01'")


FOREIGN = {
    own_bars: r"bars \(MINE 1d 2024-\d\d-\d\d\)",
    own_bars_of_a_shipped_symbol: r"bars \(IBM 1d 2024-01-0\d\)",
    a_corrected_bar: r"bars with other values \(AAPL 1d 2005-03-01\)",
    insert_event: r"events of other symbols \(TEST\)",
}


@pytest.mark.parametrize(("fill", "what"), FOREIGN.items())
def test_other_peoples_data_is_left_alone(empty_db, empty_db_url, run, fill, what):
    upgrade(empty_db_url)
    fill(empty_db)
    data = "SELECT md5(string_agg(b::text, '' ORDER BY b::text)) FROM (TABLE price_bars) AS b"
    before = value(empty_db, data)
    with pytest.raises(UserError, match=f"{what} that are not the demo's, and nothing was changed: .*--database-url"):
        run()
    assert value(empty_db, data) == before
    assert value(empty_db, "SELECT count(*) FROM ml_deployments WHERE reason LIKE 'trainer demo%'") == 0


def test_a_table_that_we_did_not_make_is_left_alone(empty_db, run):
    empty_db.execute("CREATE TABLE price_bars (price numeric)")
    with pytest.raises(UserError, match="tables of another kind"):
        run()
    assert not value(empty_db, "SELECT to_regclass('ml.alembic_version') IS NOT NULL")


def test_the_next_steps_are_for_the_same_database(monkeypatch):
    monkeypatch.delenv("PATTERN_CONFIDENCE_HOME", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    url = "postgresql://me:hunter2@db.example:5433/mine?sslmode=require"
    shown = "postgresql://me@db.example:5433/mine?sslmode=require"
    (line,) = _same_database(url, url)
    assert line.startswith(f"export DATABASE_URL='{shown}'  # and PGPASSWORD")
    assert _same_database(None, url) == []
    monkeypatch.setenv("DATABASE_URL", url)
    assert _same_database(None, url) == [f"# DATABASE_URL is set: {shown}"]
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", "/a b")
    assert _same_database(None, url)[0] == "export PATTERN_CONFIDENCE_HOME='/a b'"


@pytest.mark.parametrize(("width", "missing"), [(80, set()), (60, {"pattern"}), (48, {"pattern", "ms"})])
def test_a_narrow_table_loses_columns_and_no_numbers(width, missing):
    row = {"symbol": "AAPL", "bar": "2013-03-01", "pattern": "bullish_closing_marubozu", "rule": "0.541"}
    row |= {"ML": "0.313", "blended": "0.405", "confirmed": "no", "ms": "12.49"}
    output = StringIO()
    Console(file=output, width=width).print(_live_table([row], width))
    assert "…" not in output.getvalue()
    for name, text in row.items():
        assert (text in output.getvalue()) == (name not in missing)


def test_an_unwritable_home_is_said_before_anything_is_changed(empty_db, empty_db_url, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(UserError, match=r"is not a folder.*PATTERN_CONFIDENCE_HOME"):
        demo(empty_db_url, Console(file=StringIO()))
    assert not value(empty_db, "SELECT to_regclass('price_bars') IS NOT NULL")
