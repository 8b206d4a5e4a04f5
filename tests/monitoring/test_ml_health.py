"""The health report and the look-up of one pattern."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from support import PROBABILITY, RULE, add_bars, go_live, insert_event, rows, value


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


NOW = datetime(2026, 3, 31, 12, 0, 30, tzinfo=UTC)


def log(db, count, **columns):
    """Write predictions of one kind, a second apart, up to NOW."""
    db.execute("SELECT ml.create_prediction_partitions(%s, 4)", (NOW - timedelta(days=14),))
    given = {"source": "insert", "role": "champion", "latency_us": 1000} | columns
    names = ", ".join(given)
    db.execute(
        f"INSERT INTO ml_predictions (event_id, predicted_at, {names}) SELECT gen_random_uuid(), "
        f"%s - i * interval '1 second', {', '.join(['%s'] * len(given))} FROM generate_series(0, %s) AS i".encode(),
        (NOW, *given.values(), count - 1),
    )


def health_then(db, window="1 hour"):
    """Return the health report as of NOW."""
    return value(db, "SELECT ml_health(%s, %s)", window, NOW)


def test_every_promised_key_is_there(db):
    health = value(db, "SELECT ml_health()")
    assert health.keys() >= {
        "status", "model_loaded", "ml_enabled", "problems", "champion", "calibrator", "challenger", "canary_percent",
        "circuit_breaker", "rollout_percent", "confidence_threshold", "window", "predictions", "attempted",
        "fallback_rate", "error_rate", "fallback_reasons", "sla_compliance", "inference_latency_p50_ms",
        "inference_latency_p95_ms", "events_waiting_for_bars", "log_drops_24h", "last_prediction_at",
        "partitions_until", "checked_at", "cache_hit_rate", "ml_usage_rate", "components", "scheduler",
        "alerts_firing", "baseline_set_at", "archive_waiting", "model_version", "open_backfill_errors",
        "feature_drift_score",
    }  # fmt: skip
    assert sorted(health["components"]) == [
        "cache", "fallback_mechanism", "feature_builder", "inference", "log", "model", "scheduler",
    ]  # fmt: skip
    for component in health["components"].values():
        assert component["status"] in ("ok", "warning", "critical", "off", "unknown")
        assert len(component["detail"]) > 10


def test_without_scheduler_or_baseline_nothing_is_wrong(db):
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["problems"]) == ("healthy", [])
    assert health["scheduler"] == {"seen": False, "last_tick_at": None, "last_nightly_at": None}
    assert health["components"]["scheduler"]["status"] == "unknown"
    assert (health["baseline_set_at"], health["alerts_firing"]) == (None, None)


def test_the_scheduler_is_seen(db):
    db.execute(
        "INSERT INTO ml_jobs (job, finished_at) VALUES ('tick', now() - interval '3 minutes'), ('nightly', now())"
    )
    db.execute(
        "INSERT INTO ml_alerts (rule, state, last_evaluated_at) VALUES ('a', 'firing', now()), ('b', 'pending', now())"
    )
    health = value(db, "SELECT ml_health()")
    assert health["scheduler"]["seen"] is True
    assert health["scheduler"]["last_nightly_at"] is not None
    assert health["components"]["scheduler"]["status"] == "ok"
    assert health["alerts_firing"] == 1
    db.execute("UPDATE ml_jobs SET last_error = 'division by zero' WHERE job = 'tick'")
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["components"]["scheduler"]["status"]) == ("degraded", "warning")
    db.execute("UPDATE ml_jobs SET finished_at = now() - interval '11 minutes'")
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["scheduler"]["seen"], health["alerts_firing"]) == ("degraded", False, None)


@pytest.mark.parametrize(
    ("job", "running", "stopped"), [("tick", "9 minutes", "11 minutes"), ("nightly", "25 hours", "27 hours")]
)
def test_a_scheduler_that_ran_and_has_stopped_is_a_problem(db, job, running, stopped):
    db.execute("INSERT INTO ml_jobs (job, finished_at) VALUES (%s, now() - %s::interval)", (job, running))
    assert value(db, "SELECT ml_health()")["status"] == "healthy"
    db.execute("UPDATE ml_jobs SET finished_at = now() - %s::interval", (stopped,))
    health = value(db, "SELECT ml_health()")
    (problem,) = health["problems"]
    assert problem.startswith(f"ml.{job}() last ran at 20") and "again" in problem
    assert health["components"]["scheduler"] == {"status": "warning", "detail": problem}
    assert health["status"] == "degraded"


@pytest.mark.parametrize(
    ("job", "name"), [("tick", "ml.tick()"), ("nightly", "ml.nightly()"), ("retention", "ml.apply_retention()")]
)
def test_a_job_that_failed_is_a_problem(db, job, name):
    db.execute("INSERT INTO ml_jobs (job, finished_at, last_error) VALUES (%s, now(), 'labels: no (42883)')", (job,))
    health = value(db, "SELECT ml_health()")
    assert health["problems"] == [f"the last {name} met an error: labels: no (42883)"]
    assert (health["status"], health["components"]["scheduler"]["status"]) == ("degraded", "warning")


def test_roll_ups_that_fail_for_ever_are_seen(db):
    db.execute("ALTER FUNCTION ml.roll_up RENAME TO gone")
    assert value(db, "SELECT ml.tick(%s)", NOW)["failed"] != []
    health = value(db, "SELECT ml_health()")
    assert "the last ml.tick() met an error: roll_up: function ml.roll_up" in health["problems"][0]
    for minutes in (1, 2, 3):
        value(db, "SELECT ml.tick(%s)", NOW + timedelta(minutes=minutes))
    assert value(db, "SELECT state FROM ml_alerts WHERE rule = 'job_failed'") == "firing"


def test_alerts_evaluated_for_a_time_to_come_are_a_problem_until_the_next_run(db):
    value(db, "SELECT ml.tick(now() + interval '400 days')")
    health = value(db, "SELECT ml_health()")
    assert "alerts were evaluated for" in health["problems"][0] and "ml.tick()" in health["problems"][0]
    assert (health["status"], health["components"]["scheduler"]["status"]) == ("degraded", "warning")
    value(db, "SELECT ml.tick()")
    assert value(db, "SELECT ml_health()")["status"] == "healthy"


@pytest.mark.parametrize(
    ("columns", "advice"),
    [
        ({"fallback_reason": "bar_missing"}, "load bars, then call ml.backfill()"),
        ({"fallback_reason": "error", "error_sqlstate": "22012"}, "mend the cause, or call ml.rollback()"),
    ],
)
def test_when_all_of_five_fail_it_is_critical(db, columns, advice):
    go_live(db)
    log(db, 30, role="rule", fallback_reason="not_in_rollout")
    log(db, 4, **columns)
    assert health_then(db)["status"] == "healthy"
    log(db, 1, **columns)
    health = health_then(db)
    assert (health["status"], health["components"]["inference"]["status"]) == ("critical", "critical")
    assert health["problems"][0] == (
        "none of the 5 events of the last 01:00:00 that ML was to score has its confidence"
        f" ({columns['fallback_reason']} 5): {advice}"
    )
    log(db, 1)
    assert health_then(db)["status"] == "healthy"
    db.execute("DELETE FROM ml_predictions WHERE fallback_reason IS NULL; SELECT ml.disable()")
    assert health_then(db)["status"] == "healthy"


def test_open_errors_of_backfills_are_counted(db):
    assert value(db, "SELECT ml_health()")["open_backfill_errors"] == 0
    db.execute(
        "INSERT INTO ml_backfill_errors (event_id, model_version, sqlstate, message, resolved_at)"
        " SELECT gen_random_uuid(), 'toy', '22012', 'division by zero', CASE WHEN i = 1 THEN now() END"
        " FROM generate_series(1, 3) AS i"
    )
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["open_backfill_errors"]) == ("degraded", 2)
    assert health["problems"][0].startswith(
        "2 events met an error when ml.backfill() scored them: see ml_backfill_errors"
    )


@pytest.mark.parametrize("function", ["ml_health", "ml_metrics"])
def test_windows_are_written_the_same_in_every_session(db, function):
    db.execute("SET intervalstyle = 'iso_8601'")
    assert value(db, f"SELECT {function}('90 minutes') ->> 'window'") == "01:30:00"


@pytest.mark.parametrize(
    ("columns", "component", "sentence"),
    [
        ({"fallback_reason": "error"}, "fallback_mechanism", "100.0 % of the events of the last 01:00:00 fell back"),
        ({"error_sqlstate": "22012"}, "inference", "100.0 % of the events of the last 01:00:00 met an error"),
        ({"latency_us": 90_000}, "inference", "95th percentile of scoring latency .* above its target of 75 ms"),
        ({"fallback_reason": "bar_missing"}, "feature_builder", "20 of 20 events .* had no usable bars: load bars"),
        ({"source": "update"}, "cache", "only 0.0 % of 20 re-scorings"),
    ],
)
def test_what_is_wrong_is_a_warning_from_twenty_events_on(db, columns, component, sentence):
    log(db, 19, **columns)
    health = health_then(db)
    assert (health["status"], health["components"][component]["status"] == "warning") == ("healthy", False)
    log(db, 1, **columns)
    health = health_then(db)
    assert (health["status"], health["components"][component]["status"]) == ("degraded", "warning")
    assert re.search(sentence, health["components"][component]["detail"])
    assert health["components"][component]["detail"] in health["problems"]
    # An hour later it is history.
    assert value(db, "SELECT ml_health('1 hour', %s)", NOW + timedelta(hours=1, minutes=2))["status"] == "healthy"


def test_missing_settings_are_critical_and_the_advice_helps(db):
    db.execute("DELETE FROM ml_settings")
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["components"]["model"]["status"]) == ("critical", "critical")
    db.execute("INSERT INTO ml_settings DEFAULT VALUES")
    assert value(db, "SELECT ml_health()")["status"] == "healthy"


def test_a_model_that_is_not_loaded_is_critical(db):
    go_live(db)
    db.execute("DROP FUNCTION ml_generated.features_toy")
    assert value(db, "SELECT ml_health()")["components"]["model"]["status"] == "critical"


def test_an_open_circuit_breaker_is_critical(db):
    go_live(db)
    db.execute("INSERT INTO ml_deployments (action, version, reason) VALUES ('breaker_open', 'toy', 'slow')")
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["circuit_breaker"]["state"]) == ("critical", "open")
    assert health["components"]["fallback_mechanism"]["status"] == "critical"


def test_disabled_triggers_are_said(db):
    db.execute("ALTER TABLE pattern_events DISABLE TRIGGER pattern_events_90_log_insert")
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["components"]["log"]["status"]) == ("degraded", "warning")
    assert "pattern_events_90_log_insert" in health["problems"][0]


def test_a_hole_in_the_partitions_is_seen(db):
    partitions = rows(
        db,
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'ml_predictions'::regclass ORDER BY 1",
    )
    db.execute(f"DROP TABLE {partitions[1]['name']}".encode())
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["components"]["log"]["status"]) == ("degraded", "warning")
    db.execute(f"DROP TABLE {partitions[0]['name']}".encode())
    health = value(db, "SELECT ml_health()")
    assert (health["status"], health["partitions_until"]) == ("critical", None)
    db.execute("SELECT ml.create_prediction_partitions()")
    assert value(db, "SELECT ml_health()")["status"] == "healthy"


def test_partitions_that_wait_for_their_archive_are_counted(db):
    db.execute("CREATE TABLE ml_archive.ml_predictions_2025w01 (); CREATE TABLE ml_archive.ml_predictions_2025w02 ()")
    assert value(db, "SELECT ml_health()")["archive_waiting"] == 2
    db.execute(
        "INSERT INTO ml_archives (partition, rows, file, bytes, sha256) VALUES ('ml_predictions_2025w01', 5, 'a', 9, %s)",
        ("0" * 64,),
    )
    assert value(db, "SELECT ml_health()")["archive_waiting"] == 1


def test_events_waiting_for_bars_and_lost_predictions_are_counted(db):
    go_live(db)
    for _ in range(3):
        insert_event(db, symbol="UNKNOWN")
    insert_event(db, timeframe="7h")
    db.execute(
        "INSERT INTO ml_log_drops (event_id, dropped_at, error_sqlstate, error_message)"
        " SELECT gen_random_uuid(), now() - i * interval '20 hours', '53100', 'disk full' FROM generate_series(0, 2) AS i"
    )
    health = value(db, "SELECT ml_health()")
    assert (health["events_waiting_for_bars"], health["log_drops_24h"]) == (3, 2)
    assert health["components"]["log"]["status"] == "warning"
    assert health["fallback_reasons"] == {"bar_missing": 3, "timeframe_unknown": 1}


def test_the_last_prediction_is_found_however_old(db):
    log(db, 1)
    assert datetime.fromisoformat(value(db, "SELECT ml_health()")["last_prediction_at"]) == NOW
    assert value(db, "SELECT ml_health('1 hour', %s)", NOW - timedelta(seconds=1))["last_prediction_at"] is None


def test_the_baseline_of_the_live_version_counts(db):
    go_live(db)
    db.execute(
        "INSERT INTO ml_baselines (model_version, window_from, window_to, predictions, sources, created_at)"
        " SELECT version, now() - interval '1 day', now(), 5, '{insert}', at"
        " FROM (VALUES ('v0001', now()), ('toy', '2026-01-05'), ('toy', '2026-02-05')) AS given (version, at)"
    )
    assert value(db, "SELECT ml_health()")["baseline_set_at"].startswith("2026-02-05")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("'0'", "p_window is 00:00:00: give a time between a minute and ten years"),
        ("NULL", "p_window is NULL"),
        ("'1 second'", "p_window is 00:00:01: give a time between a minute and ten years"),
        ("'1 hour', '-infinity'", "p_at is -infinity: give a time"),
        (
            "'10 years', '4713-01-01 BC'",
            "p_at is 4713-01-01 00:00:00.00 BC: give a time between the years 1900 and 9999",
        ),
        ("'10 years', '294276-12-31'", "p_at is .*: give a time between the years 1900 and 9999"),
    ],
)
def test_arguments_that_make_no_sense_are_said(db, arguments, sentence):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=sentence):
        db.execute(f"SELECT ml_health({arguments})".encode())


def test_every_partition_is_not_planned_for_each_call(db):
    """What is read of the log is bounded by times that the planner knows: the parts of other weeks are not touched."""
    log(db, 5)
    db.execute("SELECT ml.create_prediction_partitions(%s, 40)", (NOW - timedelta(days=300),))
    with db.transaction():
        value(db, "SELECT ml_health('1 hour', %s)", NOW)
        touched = rows(
            db,
            "SELECT c.relname FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation"
            " WHERE l.pid = pg_backend_pid() AND c.relname ~ '^ml_predictions_[0-9]{4}w[0-9]{2}$'",
        )
    assert 1 <= len(touched) <= 2
