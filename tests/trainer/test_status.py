"""trainer status: what is unknown is said, never a crash."""

from io import StringIO

import pytest
from rich.console import Console
from support import add_bars, go_live, insert_event, install_model

from trainer.status import print_counts, print_health, status


@pytest.fixture
def told(db):
    def tell():
        found, output = status(db), StringIO()
        console = Console(file=output, width=120)
        print_health(found["health"], console)
        print_counts(found, console)
        return output.getvalue()

    return tell


def test_an_empty_settings_table_is_said(db, told):
    db.execute("DELETE FROM ml_settings")
    text = told()
    assert text.startswith("critical\n  ml_settings has no row")
    assert "rollout unknown" in text


def test_every_value_may_be_unknown(db):
    health = status(db)["health"]
    needed = {"status": "critical", "problems": []}
    print_health({**dict.fromkeys(health), **needed}, Console(file=StringIO()))


def test_a_challenger_and_an_open_breaker_are_told(db, told):
    add_bars(db)
    go_live(db)
    assert "challenger" not in told()
    install_model(db, "next", probability=0.2)
    db.execute("SELECT ml.set_challenger('next', 'test')")
    insert_event(db)
    text = told()
    assert "challenger        next, in shadow" in text
    assert "1 live by ML, 0 live by the rule alone, 0 backfilled, 1 in shadow" in text
    db.execute("SELECT ml.set_challenger('next', 'test', 5)")
    db.execute(
        "INSERT INTO ml_deployments (action, version, reason) VALUES ('breaker_open', 'toy', '4 of 20 calls failed')"
    )
    text = told()
    assert text.startswith("critical\n  the circuit breaker is open since")
    assert "(4 of 20 calls failed)" in text
    assert "challenger        next, canary 5 %" in text
    assert "circuit breaker   open" in text


def test_few_attempts_are_not_judged(db, told):
    assert "no live event was for ML to score" in told()
    add_bars(db)
    insert_event(db)  # disabled
    go_live(db)
    insert_event(db)
    text = told()
    assert "1 live event for ML to score: too few to judge" in text
    assert "predictions       2: 1 live by ML, 1 live by the rule alone, 0 backfilled" in text
    for _ in range(18):
        insert_event(db)
    insert_event(db, symbol="NONE")
    assert "20 live events for ML to score, fallbacks 5.0% (bar_missing 1)" in told()
    lines = told().splitlines()
    assert all(line.startswith("  ") and line[2] != " " for line in lines[1:])
