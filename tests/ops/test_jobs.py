"""The recurring jobs: each step in a block of its own, once a minute or a day, by hand, by the command line, by pg_cron."""

import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prediction_log import log, prediction
from support import add_bars, go_live, insert_event, one, rows, value

MINUTE = timedelta(minutes=1)
AT = datetime(2026, 3, 2, 10, 0, 30, tzinfo=UTC)


def run(db, job, at=AT):
    return value(db, f"SELECT ml.{job}(%s)", at)


def job(db, name):
    return one(db, "SELECT * FROM ml_jobs WHERE job = %s", name)


def break_step(db, function):
    db.execute(f"ALTER FUNCTION {function} RENAME TO gone")


def test_a_tick_rolls_up_and_is_recorded(db):
    log(db, [prediction(AT - 30 * MINUTE)])
    report = run(db, "tick")
    assert (report["status"], report["failed"]) == ("done", [])
    assert list(report["steps"]) == ["alerts", "roll_up"]
    assert report["steps"]["roll_up"]["status"] == "done"
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") == 1
    found = job(db, "tick")
    assert (found["last_run_at"], found["runs"], found["last_error"]) == (AT, 1, None)
    assert found["report"] == report
    assert datetime.now(UTC) - found["finished_at"] < MINUTE


@pytest.mark.parametrize(("name", "same", "other"), [("tick", 20, 40), ("nightly", 3600, 86400)])
def test_a_second_run_for_the_same_time_does_nothing_and_says_so(db, name, same, other):
    run(db, name)
    again = run(db, name, AT + timedelta(seconds=same))
    assert again["status"] == "skipped" and "has run for this" in again["reason"]
    assert job(db, name)["runs"] == 1
    assert run(db, name, AT + timedelta(seconds=other))["status"] == "done"


@pytest.mark.parametrize("name", ["tick", "nightly"])
def test_a_clock_that_went_back_does_nothing_and_says_so(db, name):
    db.execute("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'")
    run(db, name)
    back = run(db, name, AT - timedelta(days=2))
    assert back["status"] == "skipped"
    assert back["reason"] == "p_at 2026-02-28 10:00:30+00 is before that of the last run, 2026-03-02 10:00:30+00"
    db.execute("RESET datestyle")
    assert job(db, name)["last_run_at"] == AT


def test_roll_ups_say_times_the_same_in_every_session(db):
    run(db, "roll_up")
    db.execute("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'")
    assert run(db, "roll_up", AT - timedelta(days=2))["reason"] == (
        "p_at 2026-02-28 10:00:30+00 is before that of the last run, 2026-03-02 10:00:30+00"
    )


@pytest.mark.parametrize("name", ["tick", "nightly"])
def test_a_run_at_a_time_to_come_does_not_stop_the_jobs_for_good(db, name):
    run(db, name, datetime.now(UTC) + timedelta(days=1000))
    assert run(db, name, datetime.now(UTC))["status"] == "done"
    assert run(db, name, datetime.now(UTC) - timedelta(days=3))["status"] == "skipped"


def test_predictions_of_a_clock_that_was_ahead_are_neither_lost_nor_counted_twice(db):
    now = datetime.now(UTC)
    log(db, [prediction(now + timedelta(hours=hours)) for hours in (-2, -1, 30, 60)])
    run(db, "tick", now + timedelta(hours=72))
    db.execute(
        "UPDATE ml_jobs SET rolled_up_until = %s, final_until = %s WHERE job = 'roll_up'",
        [now + timedelta(hours=72)] * 2,
    )
    db.execute(
        "INSERT INTO ml_metrics_1m SELECT * FROM ml.summarize_predictions(%s, %s)", (now, now + timedelta(hours=72))
    )
    log(db, [prediction(now - timedelta(minutes=1))])
    total = "SELECT sum(predictions) FROM ml.metrics_by_{}(NULL, NULL)"
    for minutes in (1, 2):
        run(db, "tick", datetime.now(UTC) + minutes * MINUTE)
        assert value(db, total.format("minute")) == value(db, total.format("hour")) == 5


@pytest.mark.parametrize("wrong", [None, "infinity"])
@pytest.mark.parametrize("name", ["tick", "nightly", "roll_up"])
def test_a_run_needs_a_time(db, name, wrong):
    with pytest.raises(psycopg.Error, match=r"p_at is .*: give a time"):
        db.execute(f"SELECT ml.{name}(%s::timestamptz)", (wrong,))


def test_a_step_that_fails_is_named_and_does_not_stop_the_rest(db):
    break_step(db, "ml.label_outcomes")
    report = run(db, "nightly")
    assert report["status"] == "done"
    (failure,) = report["failed"]
    assert failure.startswith("labels: function ml.label_outcomes") and failure.endswith("(42883)")
    assert report["steps"]["labels"]["status"] == "failed"
    assert "failed" not in {step["status"] for name, step in report["steps"].items() if name != "labels"}
    assert report["steps"].keys() > {"catch_up", "drift", "performance", "alerts", "retention"}
    assert job(db, "nightly")["last_error"] == failure
    # What failed may be repeated on the same day.
    db.execute("ALTER FUNCTION ml.gone RENAME TO label_outcomes")
    assert run(db, "nightly", AT + MINUTE)["failed"] == []
    assert job(db, "nightly")["last_error"] is None


def test_a_night_labels_makes_room_recounts_and_retains(db):
    go_live(db)
    times = add_bars(db, count=760)
    insert_event(db, detected_at=times[720])
    late = prediction(AT - 60 * MINUTE)
    log(db, [prediction(AT - 90 * MINUTE)])
    run(db, "tick", AT - MINUTE)
    log(db, [late])
    report = run(db, "nightly")
    assert report["failed"] == []
    assert list(rows(db, "SELECT outcome_label FROM pattern_events")) != [{"outcome_label": None}]
    assert report["steps"]["recount"]["replaced_minutes"] == 1
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") == 2
    assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_hour(NULL, %s)", AT) == 2
    assert report["steps"]["partitions"]["created"] >= 0
    assert report["steps"]["retention"]["waiting_for_export"] == []


def test_the_night_locks_events_only_after_all_measurements(db, db_url):
    """A night that meets an event in use labels the others; who updates a labelled event waits for retention alone."""
    go_live(db)
    times = add_bars(db, count=760)
    free, used = (insert_event(db, detected_at=times[place])["id"] for place in (715, 720))
    with psycopg.connect(db_url) as other:
        other.execute("UPDATE pattern_events SET rule_confidence = 0.1 WHERE id = %s", (used,))
        report = run(db, "nightly")
        assert report["failed"] == []
        assert (report["steps"]["labels"]["labelled"], report["steps"]["labels"]["locked"]) == (1, 1)
    labelled = rows(db, "SELECT id FROM pattern_events WHERE outcome_label IS NOT NULL")
    assert [row["id"] for row in labelled] == [free]
    source = value(db, "SELECT prosrc FROM pg_proc WHERE oid = 'ml.nightly'::regproc")
    assert (
        source.index("'performance'")
        < source.index("'alerts'")
        < source.index("'labels'")
        < source.index("'retention'")
    )


@pytest.mark.parametrize("name", ["tick", "nightly"])
def test_two_at_once_do_the_work_once(db, db_url, name):
    with psycopg.connect(db_url) as other:
        other.execute(f"SELECT ml.{name}(%s)", (AT,))
        assert run(db, name) == {"status": "skipped", "reason": "another session is running it"}
    assert job(db, name)["runs"] == 1


def test_ticks_of_many_schedulers_with_writers_lose_and_double_nothing(db, db_url):
    stop = threading.Event()
    written, errors = [], []

    def write():
        with psycopg.connect(db_url) as writer:
            while not stop.is_set():
                for _ in range(3):
                    writer.execute("SELECT log_ml_prediction(gen_random_uuid(), 'x', 0.5, 0.5, p_latency_us => 10)")
                time.sleep(0.02)
                writer.commit()
                written.append(3)

    def tick():
        try:
            with psycopg.connect(db_url, autocommit=True) as ticker:
                while not stop.is_set():
                    # Minutes that are over only in this clock: the data of the last seconds are rolled up again and again.
                    ticker.execute("UPDATE ml_jobs SET last_run_at = NULL WHERE job = 'tick'")
                    ticker.execute("SELECT ml.tick()")
        except psycopg.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=target) for target in (write, write, tick, tick)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    total = sum(written)
    assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_minute(NULL, NULL)") == total
    db.execute("UPDATE ml_predictions SET predicted_at = predicted_at")  # the log itself is whole
    assert value(db, "SELECT count(*) FROM ml_predictions") == total


def test_every_order_of_ticks_and_commits_gives_the_same_minutes(db, db_url):
    """Three writers with open transactions; after each step a tick: at the end each prediction is counted once."""
    log(db, [prediction(AT - 60 * MINUTE)])
    writers = [psycopg.connect(db_url) for _ in range(3)]
    at = AT - 50 * MINUTE
    for number, order in enumerate(([0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0])):
        for writer in writers:
            log(writer, [prediction(at)])
            at += MINUTE
            run(db, "tick", at)
        for place in order:
            writers[place].commit()
            at += MINUTE
            run(db, "tick", at)
            assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_minute(NULL, NULL)") == value(
                db, "SELECT count(*) FROM ml_predictions"
            )
        assert value(db, "SELECT count(*) FROM ml_predictions") == 1 + 3 * (number + 1)
    for writer in writers:
        writer.close()
    for _ in range(3):
        at += MINUTE
        run(db, "tick", at)
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") == 13


# -------------------------------------------------------------------------------------------------- schedulers


def test_without_pg_cron_the_answer_is_how_to_do_it(db):
    answer = value(db, "SELECT ml.schedule_jobs()")
    assert answer["status"] == "not_scheduled"
    assert "trainer tick" in answer["reason"] and "trainer nightly" in answer["reason"]
    assert value(db, "SELECT ml.unschedule_jobs()") == 0


def test_with_pg_cron_jobs_are_scheduled_once_and_taken_out(db):
    """pg_cron's tables and functions as its documentation gives them; its calls are recorded."""
    db.execute(
        """
        CREATE SCHEMA cron;
        CREATE TABLE cron.job (jobid bigserial, schedule text, command text, database text DEFAULT current_database(),
            jobname text UNIQUE);
        CREATE TABLE cron.job_run_details (jobid bigint, end_time timestamptz);
        CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint LANGUAGE sql AS
        'INSERT INTO cron.job (jobname, schedule, command) VALUES ($1, $2, $3) ON CONFLICT (jobname)
         DO UPDATE SET schedule = excluded.schedule, command = excluded.command RETURNING jobid';
        CREATE FUNCTION cron.unschedule(job_id bigint) RETURNS boolean LANGUAGE sql AS
        'DELETE FROM cron.job WHERE jobid = $1 RETURNING true';
        SET allow_system_table_mods = on;
        INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
        SELECT 99999, 'pg_cron', 10, oid, false, '1.6' FROM pg_namespace WHERE nspname = 'cron';
        INSERT INTO cron.job (jobname, command) VALUES ('somebody else''s', 'SELECT 1')
        """
    )
    for nightly in ("0 1 * * *", "30 2 * * *"):
        assert value(db, "SELECT ml.schedule_jobs(%s)", nightly)["status"] == "scheduled"
    ours = rows(db, "SELECT schedule, command FROM cron.job WHERE jobname LIKE 'pattern-confidence %' ORDER BY jobid")
    assert [(row["schedule"], row["command"]) for row in ours[:2]] == [
        ("* * * * *", "SELECT ml.tick()"),
        ("30 2 * * *", "SELECT ml.nightly()"),
    ]
    # Every command runs, and the history of other jobs is left alone.
    db.execute("INSERT INTO cron.job_run_details SELECT jobid, now() - interval '8 days' FROM cron.job")
    for row in ours:
        db.execute(row["command"])
    assert value(db, "SELECT count(*) FROM cron.job_run_details") == 1
    assert value(db, "SELECT ml.unschedule_jobs()") == 3
    assert value(db, "SELECT count(*) FROM cron.job") == 1


def trainer(*arguments):
    return subprocess.run([sys.executable, "-m", "trainer", *arguments], capture_output=True, text=True, check=False)


def test_the_command_line_runs_the_jobs(db, db_url):
    done = trainer("tick", "--at", "2026-03-02T10:00:30", "--database-url", db_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tick for 2026-03-02T10:00:30+00:00\n  ")
    again = trainer("tick", "--at", "2026-03-02T10:00:40", "--database-url", db_url)
    assert again.returncode == 0
    assert again.stdout.startswith("tick skipped: it has run for this minute already")
    db.execute("UPDATE ml_settings SET retention_predictions = '14 days'")
    old = datetime.now(UTC) - timedelta(days=30)
    log(db, [prediction(old)])
    # The first day rolls up what the log holds; running transactions of the server may leave the end of it.
    night = trainer("nightly", "--json", "--database-url", db_url)
    report = json.loads(night.stdout)
    assert (night.returncode, report["failed"]) == (0, [])
    week = old.strftime("ml_predictions_%Gw%V")
    assert report["steps"]["retention"]["waiting_for_export"] == [week]


@pytest.mark.parametrize("name", ["tick", "nightly"])
def test_a_time_to_come_is_warned_of(db_url, name):
    def run_at(time):
        return trainer(name, "--at", time.isoformat(), "--database-url", db_url)

    assert run_at(datetime.now(UTC) + timedelta(seconds=20)).stderr == ""
    done = run_at(datetime.now(UTC) + timedelta(days=400))
    assert done.returncode == 0
    assert done.stderr.startswith("Warning: --at 20") and "399 days" in done.stderr and done.stderr.count("\n") == 1


def test_a_night_in_the_minute_of_a_tick_has_nothing_to_say_of_alerts(db, db_url):
    assert trainer("tick", "--at", "2026-03-02T10:00:30", "--database-url", db_url).returncode == 0
    night = trainer("nightly", "--at", "2026-03-02T10:00:40", "--database-url", db_url)
    assert (night.returncode, night.stderr) == (0, "")
    assert "  alerts       skipped: already evaluated for this minute\n" in night.stdout


def test_the_command_line_says_which_step_failed_and_what_waits(db, db_url):
    break_step(db, "ml.label_outcomes")
    db.execute("CREATE TABLE ml_archive.ml_predictions_2020w01 (LIKE ml_predictions)")
    done = trainer("nightly", "--database-url", db_url)
    assert (done.returncode, done.stderr) == (1, "")
    assert "  labels       FAILED: function ml.label_outcomes" in done.stdout
    assert "1 week of the log waits for `trainer export`: ml_predictions_2020w01" in done.stdout
    assert "Run it again when what failed is mended" in done.stdout


def test_a_database_of_an_older_release_is_told_to_migrate(db, db_url):
    break_step(db, "ml.tick")
    done = trainer("tick", "--database-url", db_url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "of an older release, without recurring jobs: run `python -m trainer migrate` first" in done.stderr
