"""The drill: everything that can be switched, once through, as an operator would do it on a bad day.

``python -m pytest tests/ops/test_drill.py -s`` prints each step with its time and the history that it leaves.
"""

import time
import uuid

import psycopg
import pytest
from support import RULE, add_bars, champion, go_live, insert_event, install_model, one, rows, value

BROKEN = "(1 / 0)::text::float8[]"


class Drill:
    """Times each step and keeps it for the printout."""

    def __init__(self, db):
        self.db = db
        self.steps = []
        self.events = 0

    def call(self, statement):
        """Run one SQL call and return its value."""
        started = time.perf_counter()
        result = value(self.db, f"SELECT {statement}")
        self.steps.append((statement, (time.perf_counter() - started) * 1000))
        return result

    def insert(self, count):
        """Insert events, one statement each, and return the last one."""
        started = time.perf_counter()
        for _ in range(count):
            self.events += 1
            stored = insert_event(self.db, id=uuid.uuid5(uuid.NAMESPACE_OID, str(self.events)))
        self.steps.append((f"{count} INSERTs", (time.perf_counter() - started) * 1000))
        return stored

    def replace_body(self, version, expression):
        """Break or repair a compiled model."""
        self.db.execute(
            f"CREATE OR REPLACE FUNCTION ml_generated.score_{version}(p_features float8[]) RETURNS float8[]"
            f" LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN {expression}; END $$"
        )


def test_the_drill(db):
    add_bars(db)
    go_live(db, "first", probability=0.3)
    install_model(db, "second", probability=0.4)
    drill = Drill(db)

    # Shadow: the challenger scores the same rows, and nobody notices.
    drill.call("ml.set_challenger('second', 'drill')")
    assert drill.insert(120)["model_version"] == "first"
    assert value(db, "SELECT count(*) FROM ml_predictions WHERE role = 'shadow' AND model_version = 'second'") == 120

    # Canary of 5 %, when the gates of the shadow stage pass.
    held = drill.call("ml.advance('too early?')")
    assert held["step"] == "advance", held["failed"]
    assert (held["from_percent"], held["to_percent"]) == (0, 5)
    held = drill.call("ml.advance('no event has met the new stage yet')")
    assert (held["step"], held["changed"]) == ("hold", False)
    assert "stage predictions" in held["failed"]
    drill.insert(120)

    # 25 %, and then the promotion.
    assert drill.call("ml.advance('5 % look good')")["to_percent"] == 25
    drill.insert(120)
    promoted = drill.call("ml.advance('25 % look good')")
    assert (promoted["step"], promoted["champion"]) == ("promote", "second")
    assert champion(db) == "second"
    assert value(db, "SELECT count(*) FROM ml_aliases WHERE alias = 'challenger'") == 0
    assert value(db, "SELECT canary_percent FROM ml_settings") == 0
    assert drill.insert(1)["model_version"] == "second"

    # A fault: the previous version takes over row by row, then the circuit breaker opens.
    drill.replace_body("second", BROKEN)
    assert drill.insert(1)["model_version"] == "first"
    drill.insert(30)
    opened = one(db, "SELECT * FROM ml_deployments WHERE action = 'breaker_open'")
    assert opened["version"] == "second"
    assert drill.insert(1)["blended_confidence"] == RULE
    health = drill.call("ml_health()")
    assert (health["status"], health["circuit_breaker"]["state"]) == ("critical", "open")

    # Back to the version before, in one call, and in well under a second.
    back = drill.call("ml.rollback('second divides by zero')")
    assert (back["champion"], back["withdrawn"]) == ("first", "second")
    assert drill.steps[-1][1] < 1000
    assert drill.insert(1)["model_version"] == "first"
    assert drill.call("ml_health()")["circuit_breaker"]["state"] == "closed"

    history = rows(
        db, "SELECT id, occurred_at, action, version, previous_version, reason FROM ml_deployments ORDER BY id"
    )
    assert [row["action"] for row in history][-7:] == [
        "challenger",
        "canary",
        "canary",
        "canary",
        "promote",
        "breaker_open",
        "rollback",
    ]
    for step, elapsed in drill.steps:
        print(f"{elapsed:9.1f} ms  {step}")  # noqa: T201
    for row in history:
        print(*(str(item) for item in row.values()), sep=" | ")  # noqa: T201


@pytest.mark.parametrize("percent", [5, 25])
def test_a_broken_canary_goes_back_to_shadow(db, percent):
    add_bars(db)
    go_live(db, "first", probability=0.3)
    install_model(db, "second", probability=0.4)
    db.execute("SELECT ml.set_challenger('second', 'test', %s)", (percent,))
    drill = Drill(db)
    drill.replace_body("second", BROKEN)
    drill.insert(60)
    step = drill.call("ml.advance()")
    assert (step["step"], step["to_percent"], step["changed"]) == ("retreat", 0, True)
    assert value(db, "SELECT canary_percent FROM ml_settings") == 0
    assert one(db, "SELECT * FROM ml_deployments ORDER BY id DESC LIMIT 1")["reason"].startswith(
        "back to shadow: stage errors"
    )
    assert drill.insert(1)["model_version"] == "first"
    assert drill.call("ml.advance()")["step"] == "hold", "a broken shadow does not become a canary again"


def test_the_rollout_of_ml_itself(db):
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.set_rollout(5)")
    drill = Drill(db)
    assert drill.call("ml.advance()")["step"] == "hold"
    db.execute(
        "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT md5(n::text)::uuid, 'TEST', '1d', 'hammer', '2024-10-01', 0.5 FROM generate_series(1, 3000) AS n"
    )
    step = drill.call("ml.advance()")
    assert (step["experiment"], step["step"], step["to_percent"]) == ("rollout", "advance", 25), step["failed"]
    assert drill.call("ml.advance(p_reason => 'we are sure', p_force => true)")["to_percent"] == 100
    assert drill.call("ml.advance()")["step"] == "complete"


def test_a_forced_stage_needs_a_reason(db):
    go_live(db)
    with pytest.raises(Exception, match="give p_reason, it is kept"):
        db.execute("SELECT ml.advance(p_force => true)")


def test_a_stage_cannot_be_judged_while_ml_is_disabled(db):
    with pytest.raises(Exception, match=r"ML is disabled, so no stage can be judged: call ml.enable\(\)"):
        db.execute("SELECT ml.advance('test')")


def test_a_rollout_of_nothing_can_begin(db):
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.set_rollout(0)")
    step = Drill(db).call("ml.advance()")
    assert (step["step"], step["to_percent"]) == ("advance", 5), step["failed"]


def test_a_gate_without_a_row_fails(db):
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.set_rollout(0)")
    db.execute("DELETE FROM ml_gates WHERE gate = 'stage latency'")
    step = Drill(db).call("ml.advance()")
    assert step["step"] == "hold"
    assert "table ml_gates has no row of this gate" in step["failed"]
    with pytest.raises(Exception, match="ml_gates_threshold_given_check"):
        db.execute("UPDATE ml_gates SET threshold = NULL WHERE gate = 'golden rows'")


def test_a_missing_settings_row_is_said(db):
    go_live(db)
    db.execute("DELETE FROM ml_settings")
    with pytest.raises(Exception, match="ml_settings has no row: restore it"):
        db.execute("SELECT ml.advance()")


def test_nobody_without_rights_holds_up_a_rollback(db, db_url):
    """Advisory locks are open to every role; the lock of a switch is not."""
    go_live(db)
    with psycopg.connect(db_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('ml.promote', 0))")
        role = f"nobody_{value(db, 'SELECT pg_backend_pid()')}"
        other.execute(f"CREATE ROLE {role}")
        other.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute("SELECT 1 FROM ml.switch_lock FOR UPDATE")
        assert value(db, "SELECT ml.rollback('now')")["withdrawn"] == "toy"


def test_who_is_the_role_that_was_taken_on(db):
    go_live(db)
    role = f"ops_{value(db, 'SELECT pg_backend_pid()')}"
    db.execute(f"CREATE ROLE {role}")
    try:
        db.execute(f"GRANT USAGE ON SCHEMA ml TO {role}")
        db.execute(f"GRANT EXECUTE ON FUNCTION ml.disable TO {role}")
        db.execute(f"SET ROLE {role}")
        db.execute("SELECT ml.disable('as ops')")
        db.execute("RESET ROLE")
        assert one(db, "SELECT actor FROM ml_deployments ORDER BY id DESC LIMIT 1")["actor"] == role
    finally:
        db.execute("RESET ROLE")
        db.execute(f"DROP OWNED BY {role}")
        db.execute(f"DROP ROLE {role}")
