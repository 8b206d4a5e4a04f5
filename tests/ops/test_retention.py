"""Retention: whole weeks leave the log for the archive, minutes and hours go, writers never wait."""

import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prediction_log import log, prediction
from support import add_bars, go_live, insert_event, rows, value

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def week_of(moment):
    return moment.strftime("ml_predictions_%Gw%V")


def roll_up_all(db, at=NOW):
    for _ in range(200):
        db.execute("SELECT ml.roll_up(%s, 1000000)", (at,))
        if value(db, "SELECT rolled_up_until FROM ml_jobs WHERE job = 'roll_up'") >= at - timedelta(minutes=2):
            return
        time.sleep(0.05)
    raise AssertionError("the roll-up does not end")


def retain(db, at=NOW):
    return value(db, "SELECT ml.apply_retention(%s)", at)


def weeks(db, schema="public"):
    return [
        row["relname"]
        for row in rows(
            db,
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
            " AND relname LIKE 'ml\\_predictions\\_%%' ORDER BY 1",
            schema,
        )
    ]


@pytest.fixture
def aged(db):
    """A log with a prediction every seventh day of the last 210."""
    log(db, [prediction(NOW - days * DAY) for days in range(0, 211, 7)])
    roll_up_all(db)
    return db


def test_a_prediction_is_kept_for_180_to_187_days(aged):
    report = retain(aged)
    assert report["status"] == "done"
    assert report["archived"] == report["waiting_for_export"] == weeks(aged, "ml_archive") != []
    kept = value(aged, "SELECT min(predicted_at) FROM ml_predictions")
    assert timedelta(days=180) >= NOW - kept > timedelta(days=166)
    # Every week whose end is 180 days ago has left, and no other.
    oldest = min(weeks(aged))
    assert oldest == week_of(NOW - 180 * DAY)
    assert value(aged, "SELECT count(*) FROM ml_predictions") == 31 - len(report["archived"])
    assert sum(value(aged, f"SELECT count(*) FROM ml_archive.{week}") for week in report["archived"]) == len(
        report["archived"]
    )


def test_a_second_run_does_nothing_more(aged):
    first = retain(aged)
    second = retain(aged)
    assert second["archived"] == [] and second["waiting_for_export"] == first["archived"]
    assert value(aged, "SELECT runs FROM ml_jobs WHERE job = 'retention'") == 2


def test_a_week_that_is_not_rolled_up_stays(db):
    log(db, [prediction(NOW - 200 * DAY)])
    db.execute(
        "INSERT INTO ml_jobs (job, rolled_up_until, final_until, minutes_from) VALUES ('roll_up', %(t)s, %(t)s, %(t)s)",
        {"t": NOW - 300 * DAY},
    )
    db.execute(
        "CREATE OR REPLACE FUNCTION ml.roll_up(p_at timestamptz DEFAULT now(), p_limit integer DEFAULT 1) RETURNS jsonb LANGUAGE sql RETURN NULL::jsonb"
    )
    report = retain(db)
    assert report["archived"] == [] and report["status"] == "incomplete"
    assert "not rolled up" in report["problems"][week_of(NOW - 200 * DAY)]
    assert value(db, "SELECT count(*) FROM ml_predictions") == 1


def test_what_leaves_is_counted_first(db):
    log(db, [prediction(NOW - 200 * DAY)])
    assert retain(db)["archived"] == [week_of(NOW - 200 * DAY)]
    assert value(db, "SELECT count(*) FROM ml_predictions") == 0
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1h") == 1


def test_a_time_ahead_is_taken_at_its_word_and_the_log_goes_on(db):
    add_bars(db)
    go_live(db)
    first = insert_event(db)
    later = NOW + 400 * DAY
    assert retain(db, NOW + 100 * DAY)["archived"] == []
    assert retain(db, later)["archived"] == [week_of(NOW)]
    assert value(db, "SELECT count(*) FROM ml_predictions") == 0
    assert value(db, f"SELECT event_id FROM ml_archive.{week_of(NOW)}") == first["id"]
    # Nothing is there to leave a second time, and partitions to come are as they were.
    assert retain(db, later)["archived"] == []
    second = insert_event(db)
    assert value(db, "SELECT event_id FROM ml_predictions") == second["id"]
    assert value(db, "SELECT count(*) FROM ml_log_drops") == 0
    # The archived part of the week is in the way of another one until it is exported.
    assert "already exists" in retain(db, later)["problems"][week_of(NOW)]
    assert value(db, "SELECT count(*) FROM ml_predictions") == 1


@pytest.mark.parametrize("wrong", [None, "infinity"])
def test_a_run_needs_a_time(db, wrong):
    with pytest.raises(psycopg.Error, match=r"p_at is .*: give a time"):
        db.execute("SELECT ml.apply_retention(%s::timestamptz)", (wrong,))


def test_nothing_is_dropped_before_its_export_is_recorded(aged):
    first, *others = retain(aged)["archived"]
    count = value(aged, f"SELECT count(*) FROM ml_archive.{first}")
    record = "INSERT INTO ml_archives (partition, rows, file, bytes, sha256) VALUES (%s, %s, 'f', 1, 'x')"
    aged.execute(record, (first, count + 1))
    report = retain(aged)
    assert report["dropped"] == []
    assert report["problems"] == {first: f"it has {count} rows, and no export has as many: run trainer export"}
    aged.execute(record, (first, count))
    assert retain(aged)["dropped"] == [first]
    assert weeks(aged, "ml_archive") == others


def test_without_the_need_of_an_archive_weeks_are_dropped_at_once(aged):
    before = retain(aged)["archived"]
    aged.execute("UPDATE ml_settings SET archive_required = false, retention_predictions = '150 days'")
    report = retain(aged)
    assert report["archived"] != []
    assert report["dropped"] == before + report["archived"]
    assert weeks(aged, "ml_archive") == [] and report["waiting_for_export"] == []
    # Who asks later where they are is told.
    record = rows(aged, "SELECT * FROM ml_archives ORDER BY partition")
    assert [row["partition"] for row in record] == report["dropped"]
    for row in record:
        assert (row["rows"], row["file"], row["bytes"], row["sha256"]) == (1, None, None, None)
        assert row["dropped_by_setting"] == "archive_required = false, retention_predictions = 150 days"
        assert abs(row["exported_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    aged.execute("UPDATE ml_settings SET archive_required = true")
    assert retain(aged)["waiting_for_export"] == []


def test_what_was_exported_is_not_recorded_as_dropped_without_it(aged):
    (first, *_) = retain(aged)["archived"]
    aged.execute("INSERT INTO ml_archives (partition, rows, file, bytes, sha256) VALUES (%s, 1, 'f', 1, 'x')", (first,))
    aged.execute("UPDATE ml_settings SET archive_required = false")
    assert first in retain(aged)["dropped"]
    assert [row["file"] for row in rows(aged, "SELECT file FROM ml_archives WHERE partition = %s", first)] == ["f"]


def test_at_most_eight_weeks_leave_in_one_run(aged):
    aged.execute("UPDATE ml_settings SET retention_predictions = '70 days'")
    first = retain(aged)
    assert len(first["archived"]) == 8
    second = retain(aged)
    assert first["left_weeks"] == len(second["archived"]) + second["left_weeks"] > 0


def test_an_archived_week_is_not_made_again(aged):
    (first, *_) = retain(aged)["archived"]
    before = weeks(aged)
    aged.execute("SELECT ml.create_prediction_partitions(%s, 4)", (NOW - 215 * DAY,))
    assert not set(weeks(aged)) & set(weeks(aged, "ml_archive"))
    aged.execute("INSERT INTO ml_archives (partition, rows, file, bytes, sha256) VALUES (%s, 1, 'f', 1, 'x')", (first,))
    assert retain(aged)["dropped"] == [first]
    aged.execute("SELECT ml.create_prediction_partitions(%s, 4)", (NOW - 215 * DAY,))
    assert first not in weeks(aged)
    assert set(before) <= set(weeks(aged))


def test_minutes_go_when_their_hours_are_stored_and_readers_see_no_difference(aged):
    totals = "SELECT sum(predictions) FROM ml.metrics_by_{}(%s, %s)"
    since = NOW - 150 * DAY
    before = [value(aged, totals.format(width), since, NOW) for width in ("minute", "hour")]
    aged.execute("UPDATE ml_settings SET retention_metrics_1m = '3 days'")
    retain(aged)
    kept = value(aged, "SELECT min(bucket) FROM ml_metrics_1m")
    assert kept is None or NOW - kept <= timedelta(days=3, hours=1)
    assert [value(aged, totals.format(width), since, NOW) for width in ("minute", "hour")] == before
    aged.execute("UPDATE ml_settings SET retention_metrics_1h = '100 days'")
    assert retain(aged)["deleted"]["ml_metrics_1h"] > 0
    assert NOW - value(aged, "SELECT min(bucket) FROM ml_metrics_1h") <= 100 * DAY


def test_a_log_in_use_is_left_for_the_next_run_and_writers_wait_no_longer_than_a_moment(aged, db_url):
    slowest = 0.0
    stop = threading.Event()

    def write():
        nonlocal slowest
        with psycopg.connect(db_url, autocommit=True) as writer:
            while not stop.is_set():
                started = time.monotonic()
                writer.execute("SELECT log_ml_prediction(gen_random_uuid(), 'x', 0.5, 0.5)")
                slowest = max(slowest, time.monotonic() - started)

    with psycopg.connect(db_url) as reader:
        reader.execute("SELECT count(*) FROM ml_predictions")  # its transaction stays open
        thread = threading.Thread(target=write)
        thread.start()
        try:
            report = retain(aged)
        finally:
            stop.set()
            thread.join()
    assert report["archived"] == [] and report["status"] == "incomplete"
    assert "in use" in next(iter(report["problems"].values()))
    assert slowest < 1  # 100 ms of waiting and what a busy machine adds
    assert retain(aged)["archived"] != []


def test_what_else_grows_is_kept_for_a_year(db):
    db.execute(
        "INSERT INTO ml_baselines (model_version, window_from, window_to, predictions, sources) VALUES ('v', %s, %s, 1, '{insert}')",
        (NOW - DAY, NOW),
    )
    for age in (10, 360, 370, 400):
        at = NOW - age * DAY
        for table, columns in {
            "ml_log_drops": {"dropped_at": at, "event_id": "gen_random_uuid()", "error_sqlstate": "'x'", "error_message": "'x'"},
            "ml_drift": {"run_at": at, "model_version": "'v'", "baseline_id": "(SELECT max(baseline_id) FROM ml_baselines)",
                "window_from": at, "window_to": at, "subject": "'feature'", "feature": "'f'", "method": "'m'",
                "n_baseline": 1, "n_current": 1, "verdict": "'ok'", "quality_verdict": "'ok'"},
            "ml_performance": {"run_at": at, "model_version": "'v'", "kind": "'realised'", "metric": "'brier'",
                "window_from": at, "window_to": at, "predictions": 1, "labelled": 1, "verdict": "'ok'"},
            "ml_alert_transitions": {"occurred_at": at, "rule": "'r'", "key": "''", "severity": "'info'",
                "from_state": "'normal'", "to_state": "'pending'", "cause": "'breached'"},
            "ml_backfill_errors": {"event_id": "gen_random_uuid()", "model_version": "'v'", "sqlstate": "'x'",
                "message": "'x'", "resolved_at": at},
            "ml_notifications": {"created_at": at, "rule": "'r'", "key": "''", "transition": "'firing'",
                "channel": "'webhook'", "severity": "'info'", "firing_since": at, "payload": "'{}'"},
        }.items():  # fmt: skip
            values = ", ".join(
                f"'{given}'" if isinstance(given, datetime) else str(given) for given in columns.values()
            )
            db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})")
    # An error that is open stays, however old; a notification goes, whether or not anybody has asked for it.
    db.execute(
        "INSERT INTO ml_backfill_errors (event_id, model_version, sqlstate, message) VALUES (gen_random_uuid(), 'v', 'x', 'x')"
    )
    deleted = retain(db)["deleted"]
    assert {count for table, count in deleted.items() if not table.startswith("ml_metrics")} == {2}
    assert len(deleted) == 7
    for table, left in (("ml_log_drops", 2), ("ml_drift", 2), ("ml_notifications", 2), ("ml_backfill_errors", 3)):
        assert value(db, f"SELECT count(*) FROM {table}") == left


def test_two_at_once_do_the_work_once(aged, db_url):
    with psycopg.connect(db_url) as other:
        other.execute("SELECT ml.apply_retention(%s)", (NOW,))
        assert retain(aged)["status"] == "skipped"


def test_operators_run_the_jobs_and_nobody_else(aged):
    """ml_ops owns no table; what it may do, it may do through these functions."""
    aged.execute("SET ROLE ml_ops")
    assert value(aged, "SELECT ml.tick()")["failed"] == []
    assert value(aged, "SELECT ml.apply_retention()")["status"] == "done"
    assert value(aged, "SELECT ml.nightly()")["failed"] == []
    with pytest.raises(psycopg.Error, match="permission denied"):
        aged.execute("SELECT ml.detach_week('ml_predictions_2026w01')")
    for role in ("ml_writer", "ml_analyst", "ml_dashboard"):
        aged.execute("RESET ROLE")
        aged.execute(f"SET ROLE {role}")
        for job in ("tick", "nightly", "apply_retention"):
            with pytest.raises(psycopg.Error, match="permission denied"):
                aged.execute(f"SELECT ml.{job}()")
