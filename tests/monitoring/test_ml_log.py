"""The log as JSON: every kind of entry, its keys, and that a filter on time reaches the partitions."""

from datetime import datetime, timedelta

import pytest
from support import add_bars, go_live, insert_event, rows, value

PROMISED = {
    "timestamp", "service", "level", "event", "pattern_id", "model_version", "inference_latency_ms", "confidence_ml",
    "confidence_rule", "confidence_blended", "cache_hit", "features_count",
}  # fmt: skip


def entries(db, condition="true"):
    """Return entries of the log, oldest first."""
    return [
        row["entry"]
        for row in rows(db, f"SELECT entry FROM ml_log WHERE {condition} ORDER BY logged_at, entry ->> 'event'")
    ]


def test_a_prediction_has_the_promised_keys(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    (entry,) = entries(db, "event = 'prediction'")
    assert entry.keys() >= PROMISED
    assert entry["pattern_id"] == str(stored["id"])
    assert (entry["confidence_ml"], entry["confidence_rule"]) == (0.85, 0.72)
    assert entry["confidence_blended"] == pytest.approx(0.798)
    assert (entry["service"], entry["level"], entry["model_version"]) == ("pattern-confidence", "INFO", "toy")
    assert (entry["cache_hit"], entry["features_count"]) == (False, 2)
    assert 0 < entry["inference_latency_ms"] < 10_000
    logged = rows(db, "SELECT logged_at, level, event FROM ml_log WHERE event = 'prediction'")[0]
    assert datetime.fromisoformat(entry["timestamp"]) == logged["logged_at"]
    assert (logged["level"], logged["event"]) == (entry["level"], entry["event"])


def test_levels_say_what_went_wrong(db):
    add_bars(db)
    insert_event(db)
    go_live(db)
    insert_event(db, symbol="UNKNOWN")
    db.execute("CREATE OR REPLACE FUNCTION ml_generated.score_toy(p_features float8[]) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE"
               " AS 'BEGIN RETURN ARRAY[1 / 0]; END'")  # fmt: skip
    insert_event(db)
    insert_event(db, rule_confidence=float("nan"))
    found = [(entry["level"], entry["fallback_reason"]) for entry in entries(db, "event = 'prediction'")]
    assert found == [
        ("INFO", "disabled"), ("WARNING", "bar_missing"), ("ERROR", "champion_failed"), ("ERROR", "rule_confidence_invalid"),
    ]  # fmt: skip
    assert entries(db, "event = 'prediction'")[-1]["confidence_rule"] is None


def test_backfilled_shadow_and_external_scores_say_so(db):
    add_bars(db)
    stored = insert_event(db)
    go_live(db)
    db.execute("SELECT ml.backfill()")
    db.execute("SELECT log_ml_prediction(%s, 'elsewhere', 0.5, 0.6)", (stored["id"],))
    found = {(entry["event"], entry["source"]) for entry in entries(db, "event LIKE '%prediction'")}
    assert found == {("prediction", "insert"), ("prediction", "backfill"), ("prediction", "external")}
    go_live(db, "other")
    db.execute("SELECT ml.set_challenger('toy', 'compare')")
    insert_event(db)
    assert [entry["role"] for entry in entries(db, "event = 'shadow_prediction'")] == ["shadow"]


def test_switches_are_entries(db):
    go_live(db)
    db.execute("SELECT ml.disable('drill')")
    entry = entries(db, "event = 'disable'")[0]
    assert (entry["level"], entry["reason"], entry["actor"]) == (
        "WARNING",
        "drill",
        value(db, "SELECT current_user::text"),
    )
    assert entries(db, "event = 'promote'")[0]["model_version"] == "toy"
    assert value(db, "SELECT count(*) FROM ml_log") == value(db, "SELECT count(*) FROM ml_deployments")


@pytest.mark.parametrize(
    ("severity", "state", "level"),
    [
        ("critical", "firing", "CRITICAL"),
        ("warning", "firing", "WARNING"),
        ("info", "firing", "INFO"),
        ("critical", "resolved", "INFO"),
    ],
)
def test_alerts_are_entries(db, severity, state, level):
    db.execute(
        "INSERT INTO ml_alert_transitions (occurred_at, rule, key, severity, from_state, to_state, cause, value, threshold)"
        " VALUES (now(), 'fallback_high', '', %s, 'pending', %s, 'breached', 'NaN', 0.2)",
        (severity, state),
    )
    (entry,) = entries(db, "event LIKE 'alert%'")
    assert (entry["level"], entry["event"], entry["rule"], entry["value"]) == (
        level,
        f"alert_{state}",
        "fallback_high",
        None,
    )


def test_lost_predictions_are_entries(db):
    db.execute(
        "INSERT INTO ml_log_drops (event_id, error_sqlstate, error_message) VALUES (gen_random_uuid(), '53100', 'disk full')"
    )
    (entry,) = entries(db, "event = 'log_drop'")
    assert (entry["level"], entry["error_message"]) == ("ERROR", "disk full")


def test_the_timestamp_does_not_depend_on_the_session(db):
    insert_event(db)
    before = entries(db)
    db.execute("SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'SQL, DMY'")
    assert entries(db) == before


def plan_of(db, query, *parameters):
    """Return a plan as text."""
    return "\n".join(row["QUERY PLAN"] for row in rows(db, f"EXPLAIN (COSTS OFF) {query}", *parameters))


def test_a_filter_on_time_reaches_the_partitions_and_their_indexes(db):
    db.execute("SELECT ml.create_prediction_partitions(now() - interval '300 days', 42)")
    db.execute(
        "INSERT INTO ml_predictions (event_id, predicted_at, source, role)"
        " SELECT gen_random_uuid(), now() - i * interval '1 minute', 'insert', 'rule' FROM generate_series(1, 20000) AS i"
    )
    db.execute("ANALYZE ml_predictions")
    now = value(db, "SELECT now()")
    plan = plan_of(
        db,
        "SELECT * FROM ml_log WHERE logged_at >= %s AND logged_at < %s",
        now - timedelta(hours=30),
        now - timedelta(hours=29),
    )
    assert "predicted_at_idx" in plan
    assert len({word for word in plan.split() if word.startswith("ml_predictions_") and word.count("_") == 2}) <= 2
    # A bound that is known only when the query runs leaves the others out as well.
    executed = "\n".join(
        row["QUERY PLAN"]
        for row in rows(
            db,
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT * FROM ml_log WHERE logged_at > now() - interval '1 hour'",
        )
    )
    assert "Subplans Removed" in executed
    # The newest ones come from the end of the index, without sorting everything.
    newest = plan_of(
        db, "SELECT * FROM ml_log WHERE logged_at > %s ORDER BY logged_at DESC LIMIT 20", now - timedelta(days=2)
    )
    assert "Merge Append" in newest
