"""The champion is switched to and fro while writers insert; the drill of a minute is the same program, run longer."""

import json
import subprocess
import sys
from pathlib import Path

from support import add_bars, value

DRILL = Path(__file__).parents[1] / "benchmarks" / "promote_under_load.py"


def drill(db, url, seconds):
    if not value(db, "SELECT EXISTS (SELECT FROM price_bars)"):
        add_bars(db)
    done = subprocess.run(
        [sys.executable, str(DRILL), "--seconds", str(seconds), "--writers", "4", "--json", "--database-url", url],
        capture_output=True, text=True, check=False, cwd=DRILL.parents[2],
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_no_insert_fails_waits_or_mixes_two_models_while_the_champion_changes(db, db_url):
    code, figures = drill(db, db_url, 3)
    assert (figures["failed"], figures["mixed"], figures["fallbacks"], figures["waits_for_a_switch"]) == ([], 0, 0, 0)
    assert figures["logged"] + sum(figures["dropped_from_log"].values()) == figures["events"] > 0
    assert len(figures["events_by_version"]) == 2
    assert figures["switches"] >= 6
    assert code == 0


def test_the_drill_sees_a_statement_that_mixes_two_models(db, db_url):
    """Volatile functions see each promotion that commits meanwhile: why those of the path are stable."""
    db.execute("ALTER FUNCTION ml.score_pattern_event() VOLATILE")
    for _ in range(3):
        code, figures = drill(db, db_url, 2)
        if figures["mixed"]:
            break
    assert figures["mixed"] > 0
    assert code == 1
