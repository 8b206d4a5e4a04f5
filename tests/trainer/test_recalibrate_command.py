"""trainer recalibrate: one call of the database, printed for people or as JSON."""

import json
import uuid

import numpy as np
import pytest
from support import START, go_live, install_model, value
from typer.testing import CliRunner

from trainer import cli


def history(db):
    """Two years of scores that are too high by a third."""
    go_live(db)
    random = np.random.default_rng(1)
    raw = random.beta(6, 6, 900)
    with db.transaction(), db.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        rows = [
            (uuid.UUID(int=place), float(score), "win" if random.random() < score**2 else "loss", place * 20)
            for place, score in enumerate(raw)
        ]
        cursor.executemany(
            "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence,"
            " outcome_label, outcome_at) SELECT %s, 'TEST', '1d', 'hammer', t, 0.6, %s, t + interval '2 days'"
            " FROM (SELECT %s::timestamptz + %s * interval '1 hour' AS t) AS times",
            [(row[0], row[2], START, row[3]) for row in rows],
        )
        cursor.executemany(
            "INSERT INTO ml_predictions (event_id, predicted_at, source, model_version, role, ml_confidence_raw,"
            " rule_confidence) VALUES (%s, now(), 'insert', 'toy', 'champion', %s, 0.6)",
            [row[:2] for row in rows],
        )


def run(db_url, *arguments):
    return CliRunner().invoke(cli.app, ["recalibrate", *arguments, "--database-url", db_url])


def test_it_says_what_was_done_and_what_is_next(db, db_url):
    history(db)
    done = run(db_url)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "Calibrator toy-1 (sigmoid) is registered" in said
    assert "next: SELECT ml.promote('toy', 'toy', 'recalibrated');" in said
    assert "sigmoid *" in said
    assert value(db, "SELECT card ->> 'reason' FROM ml_calibrators WHERE calibrator_version = 'toy-1'") == (
        "trainer recalibrate"
    )
    again = json.loads(run(db_url, "--json").output)
    assert (again["status"], again["calibrator_version"]) == ("waiting", "toy-1")


def test_too_few_outcomes_are_no_error(db, db_url):
    go_live(db)
    install_model(db, "other")
    done = run(db_url, "other", "--include-backfill")
    assert done.exit_code == 0
    assert "wait for more outcomes" in " ".join(done.output.split())


@pytest.mark.parametrize("arguments", [("nowhere",), ("--method", "spline")])
def test_a_refusal_is_the_databases_sentence(db, db_url, arguments):
    go_live(db)
    done = run(db_url, *arguments)
    assert done.exit_code == 1
    assert "is not registered" in str(done.exception) or "use identity, sigmoid" in str(done.exception)
