"""The health report and the look-up of one pattern."""

import uuid

from support import PROBABILITY, RULE, add_bars, go_live, insert_event, value


def test_a_fresh_database_is_healthy_and_disabled(db):
    health = value(db, "SELECT ml_health()")
    assert {"status", "model_loaded", "ml_enabled"} <= set(health)
    assert health["status"] == "healthy"
    assert health["ml_enabled"] is False
    assert health["predictions"] == 0
    assert health["fallback_rate"] is None


def test_a_live_model_is_healthy(db):
    add_bars(db)
    go_live(db)
    insert_event(db)
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["model_loaded"], health["ml_enabled"]) == ("healthy", True, True)
    assert health["champion"] == "toy"
    assert health["fallback_rate"] == health["error_rate"] == 0
    assert health["sla_compliance"] == 1
    assert 0 < health["inference_latency_p50_ms"] <= health["inference_latency_p95_ms"]


def test_enabled_without_a_model_is_critical(db):
    db.execute("DELETE FROM ml_aliases")
    db.execute("SELECT ml.enable()")
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["model_loaded"]) == ("critical", False)
    assert "ml.promote" in health["problems"][0]


def test_missing_functions_are_critical(db):
    go_live(db)
    db.execute("DROP FUNCTION ml_generated.score_toy(float8[])")
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["model_loaded"]) == ("critical", False)


def test_many_fallbacks_are_a_warning_once_there_are_enough_events(db):
    add_bars(db)
    go_live(db)
    for _ in range(3):
        insert_event(db, symbol="UNKNOWN")
    assert value(db, "SELECT ml_health()")["status"] == "healthy"
    for _ in range(17):
        insert_event(db)
    assert value(db, "SELECT ml_health()")["status"] == "degraded"
    assert value(db, "SELECT ml_health()")["fallback_rate"] == 3 / 20


def test_one_pattern(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    db.execute("UPDATE pattern_events SET status = 'closed', outcome_label = 'win', label_source = 'TB2'")
    found = value(db, "SELECT ml_pattern_confidence(%s)", stored["id"])
    assert found["found"] is True
    assert (found["ml_confidence"], found["rule_confidence"]) == (PROBABILITY, RULE)
    assert found["blended_confidence"] == stored["blended_confidence"]
    assert found["confirmed"] is True
    assert [prediction["source"] for prediction in found["predictions"]] == ["insert"]
    assert found["history"][0]["new_status"] == "closed"
    assert found["outcome"]["label"] == "win"
    assert found["features"] == stored["ml_features"]


def test_an_unknown_pattern_is_not_found(db):
    found = value(db, "SELECT ml_pattern_confidence(%s)", uuid.uuid4())
    assert found["found"] is False
    assert found["predictions"] == []


def test_read_only_functions_are_stable(db):
    assert value(
        db, "SELECT bool_and(provolatile = 's') FROM pg_proc WHERE proname IN ('ml_health', 'ml_pattern_confidence')"
    )
    with db.transaction():
        db.execute("SET TRANSACTION READ ONLY")
        assert value(db, "SELECT ml_health()")["status"] == "healthy"
