"""The demo: the whole way from an empty database to live scoring, twice, and never over other people's data."""

from io import StringIO

import pytest
from rich.console import Console
from support import add_bars, insert_event, rows, value

from trainer.demo import LIVE_EVENTS, demo
from trainer.errors import UserError
from trainer.migrations import upgrade


@pytest.fixture
def run(empty_db_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path))

    def run_demo():
        output = StringIO()
        demo(empty_db_url, Console(file=output, width=80))
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

    second = run()
    again = rows(empty_db, "SELECT id, blended_confidence FROM pattern_events ORDER BY id")
    assert again == [{"id": row["id"], "blended_confidence": row["blended_confidence"]} for row in events]
    assert value(empty_db, "SELECT count(*) FROM ml_deployments") == deployments
    assert " 0 of them new" in second
    for text in (first, second):
        assert "healthy" in text
        assert max(len(line.rstrip()) for line in text.split("Done")[0].splitlines()) <= 80
        assert "…" not in text


@pytest.mark.parametrize("fill", [lambda db: add_bars(db, "MINE"), insert_event])
def test_other_peoples_data_is_left_alone(empty_db, empty_db_url, run, fill):
    upgrade(empty_db_url)
    fill(empty_db)
    with pytest.raises(UserError, match="not the demo's"):
        run()
    assert value(empty_db, "SELECT count(*) FROM price_bars WHERE symbol = 'IBM'") == 0
