"""Backfill: set-based scoring of what has no score, with the numbers of the row trigger."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import psycopg
import pytest
from support import START, add_bars, go_live, insert_event, install_model, predictions, rows, value

from trainer.backfill import backfill, describe
from trainer.errors import UserError

SCORE = "ARRAY[1 - coalesce(p_features[1], 50) / 100, coalesce(p_features[1], 50) / 100]"
CARD = {"golden_rows": [{"features": {"rsi_14": 50.0}, "probabilities": [0.5, 0.5]}]}
RESULT = (
    "direction, entry_price, target_price, stop_price, support, resistance, ml_features, ml_confidence_raw,"
    " ml_confidence, blended_confidence, prediction_class, model_version,"
    " ml_metadata #> '{scoring,derived}' AS derived, ml_metadata #> '{scoring,feature_hash}' AS feature_hash"
)


def insert_for_every_bar(db):
    db.execute(
        "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence, support)"
        " SELECT md5(ts::text)::uuid, symbol, timeframe, 'hammer', ts, 0.6, CASE WHEN extract(day FROM ts) > 15 THEN 3 END"
        " FROM price_bars"
    )


def test_backfilled_rows_equal_live_ones(db):
    add_bars(db)
    go_live(db, body=SCORE, features=("rsi_14",), card=CARD)
    insert_for_every_bar(db)
    live = rows(db, f"SELECT id, {RESULT} FROM pattern_events ORDER BY id")
    db.execute("DELETE FROM pattern_events")
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    assert value(db, "SELECT count(*) FROM pattern_events WHERE model_version IS NULL") == 300
    db.execute("SELECT ml.enable()")
    report = backfill(db, batch=70)
    assert (report["candidates"], report["scored"], report["failed"]) == (300, 300, 0)
    assert rows(db, f"SELECT id, {RESULT} FROM pattern_events ORDER BY id") == live
    logged = rows(
        db, "SELECT source, count(*) FROM ml_predictions WHERE model_version IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    assert logged == [{"source": "backfill", "count": 300}, {"source": "insert", "count": 300}]
    assert backfill(db)["candidates"] == 0


def test_a_backfill_takes_the_function_of_columns_where_there_is_one(db):
    add_bars(db)
    go_live(db, body=SCORE, features=("rsi_14", "day_of_week"), card=CARD)
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    db.execute("SELECT ml.enable()")
    # Another score on purpose: it tells which function was called, and that it got the features in the right order.
    db.execute(
        "CREATE FUNCTION ml_generated.score_toy_columns(rsi float8, weekday float8) RETURNS float8[] LANGUAGE sql IMMUTABLE"
        " AS 'SELECT ARRAY[1 - ($1 / 1000 + $2 / 100), $1 / 1000 + $2 / 100]'"
    )
    report = backfill(db)
    assert report["failed"] == 0
    wrong = value(
        db,
        "SELECT count(*) FROM pattern_events WHERE model_version IS NOT NULL AND ml_confidence_raw IS DISTINCT FROM"
        " (ml_features ->> 'rsi_14')::float8 / 1000 + (ml_features ->> 'day_of_week')::float8 / 100",
    )
    assert wrong == 0
    assert report["scored"] > 200
    unscored = value(db, "SELECT count(*) FROM pattern_events WHERE ml_features ->> 'rsi_14' IS NULL")
    assert report["not_scored"] == {"score_invalid": unscored}


def test_a_dry_run_writes_nothing_and_a_limit_holds(db):
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    before = value(db, "SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM pattern_events AS e")
    report = backfill(db, dry_run=True)
    assert (report["dry_run"], report["candidates"], report["scored"]) == (True, 300, 300)
    assert value(db, "SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM pattern_events AS e") == before
    db.execute("SELECT ml.enable()")
    assert backfill(db, limit=120, batch=50)["scored"] == 120
    oldest = value(db, "SELECT max(detected_at) FROM pattern_events WHERE model_version IS NOT NULL")
    assert oldest == START + timedelta(days=119)


def test_events_wait_for_their_bars(db):
    go_live(db)
    stored = insert_event(db)
    other = insert_event(db, symbol="OTHER")
    assert backfill(db)["not_scored"] == {"bar_missing": 2}
    add_bars(db)
    report = backfill(db)
    assert (report["scored"], report["not_scored"]) == (1, {"bar_missing": 1})
    assert [row["source"] for row in predictions(db, stored["id"])] == ["insert", "backfill"]
    assert [row["source"] for row in predictions(db, other["id"])] == ["insert"]


def test_one_bad_event_does_not_hold_up_the_rest(db):
    add_bars(db)
    go_live(
        db,
        body="CASE WHEN p_features[1] = 2 THEN ARRAY[1 / (p_features[1] - 2), 0] ELSE ARRAY[0.5, 0.5]::float8[] END",
        features=("day_of_week",),
        card={"golden_rows": [{"features": {"day_of_week": 1}, "probabilities": [0.5, 0.5]}]},
    )
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    db.execute("SELECT ml.enable()")
    report = backfill(db, batch=50)
    assert report["candidates"] == 300
    assert report["failed"] == value(db, "SELECT count(*) FROM price_bars WHERE extract(isodow FROM ts) = 2")
    assert report["scored"] == 300 - report["failed"]
    assert report["errors"][0]["sqlstate"] == "22012"


def test_events_outside_the_rollout_stay_out(db):
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.set_rollout(50)")
    insert_for_every_bar(db)
    inside = value(db, "SELECT count(*) FROM pattern_events WHERE model_version IS NOT NULL")
    assert 0 < inside < 300
    assert backfill(db)["candidates"] == 0
    db.execute("SELECT ml.set_rollout(100)")
    assert backfill(db)["scored"] == 300 - inside


def test_rows_that_somebody_else_changes_are_left_for_the_next_run(db, db_url):
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    db.execute("SELECT ml.enable()")
    with psycopg.connect(db_url) as other:
        other.execute("UPDATE pattern_events SET status = 'busy' WHERE detected_at < %s", (START + timedelta(days=10),))
        report = backfill(db)
        assert (report["scored"], report["skipped"], report["unscored"]) == (290, 10, 10)
        assert "10 left alone: another session was changing them" in describe(report)
        other.commit()
    assert backfill(db)["scored"] == 10


def test_without_a_champion_or_disabled_it_says_what_to_do(db):
    db.execute("DELETE FROM ml_aliases")
    with pytest.raises(UserError, match="no champion"):
        backfill(db)
    install_model(db, "toy")
    db.execute("SELECT ml.promote('toy', NULL, 'test')")
    with pytest.raises(UserError, match=r"ML is disabled: call ml\.enable\(\)"):
        backfill(db)


# ------------------------------------------------------------------------------------ errors, event by event

OPEN = "SELECT event_id, sqlstate, message, attempts, model_version FROM ml_backfill_errors WHERE resolved_at IS NULL"


def unscored_events(db):
    """Go live, and have an unscored event for each of 300 bars."""
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    db.execute("SELECT ml.enable()")


def refuse_marked(db):
    """Let a trigger of the user's own refuse to change events with status frozen."""
    db.execute(
        "CREATE FUNCTION refuse_frozen() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN IF NEW.status = 'frozen' THEN RAISE EXCEPTION 'event % is frozen', NEW.id; END IF; RETURN NEW; END $$"
    )
    db.execute(
        "CREATE TRIGGER pattern_events_05_frozen BEFORE UPDATE OF model_version ON pattern_events"
        " FOR EACH ROW EXECUTE FUNCTION refuse_frozen()"
    )


def freeze_events(db, events):
    db.execute("UPDATE pattern_events SET status = NULL WHERE status IS NOT NULL")
    db.execute("UPDATE pattern_events SET status = 'frozen' WHERE id = ANY(%s)", (list(events),))


def test_an_error_is_recorded_until_the_event_is_scored(db):
    unscored_events(db)
    refuse_marked(db)
    bad = [row["id"] for row in rows(db, "SELECT id FROM pattern_events ORDER BY detected_at LIMIT 3")]
    freeze_events(db, bad)
    assert backfill(db, dry_run=True)["failed"] == 0
    report = backfill(db, batch=100)
    assert (report["scored"], report["failed"], report["open_errors"], report["unscored"]) == (297, 3, 3, 3)
    recorded = rows(db, OPEN)
    assert {row["event_id"]: row["message"] for row in recorded} == {
        frozen: f"event {frozen} is frozen" for frozen in bad
    }
    assert {(row["sqlstate"], row["attempts"], row["model_version"]) for row in recorded} == {("P0001", 1, "toy")}
    assert "3 errors are open: see table ml_backfill_errors" in describe(report)

    assert backfill(db)["failed"] == 3
    assert [row["attempts"] for row in rows(db, OPEN)] == [2, 2, 2]
    # One is mended and backfilled, one scored by an UPDATE of its own, one deleted: no error is open any more.
    db.execute("DROP TRIGGER pattern_events_05_frozen ON pattern_events")
    db.execute("UPDATE pattern_events SET rule_confidence = 0.61 WHERE id = %s", (bad[1],))
    db.execute("DELETE FROM pattern_events WHERE id = %s", (bad[2],))
    report = backfill(db)
    assert (report["scored"], report["failed"], report["open_errors"]) == (1, 0, 0)
    assert value(db, "SELECT count(*) FROM ml_backfill_errors WHERE resolved_at >= occurred_at") == 3
    # What fails anew is a new row.
    unscore(db, bad[0])
    refuse_marked_again = "CREATE TRIGGER pattern_events_05_frozen BEFORE UPDATE OF model_version ON pattern_events FOR EACH ROW EXECUTE FUNCTION refuse_frozen()"
    db.execute(refuse_marked_again)
    assert backfill(db)["failed"] == 1
    assert value(db, "SELECT count(*) FROM ml_backfill_errors WHERE event_id = %s", bad[0]) == 2


def unscore(db, event_id):
    """Put an event into the state of one that was never scored."""
    db.execute("ALTER TABLE pattern_events DISABLE TRIGGER USER")
    db.execute("UPDATE pattern_events SET model_version = NULL, ml_metadata = NULL WHERE id = %s", (event_id,))
    db.execute("ALTER TABLE pattern_events ENABLE TRIGGER USER")


@pytest.mark.parametrize(("events", "bad"), [(1, 1), (2, 1), (16, 3), (17, 17), (33, 1), (300, 5)])
def test_exactly_the_bad_events_fail(db, events, bad):
    unscored_events(db)
    refuse_marked(db)
    found = [row["id"] for row in rows(db, "SELECT id FROM pattern_events ORDER BY detected_at LIMIT %s", events)]
    frozen = [found[place] for place in np.random.default_rng(events).choice(events, bad, replace=False)]
    freeze_events(db, frozen)
    report = value(db, "SELECT ml.backfill(p_limit => %s)", events)
    assert (report["candidates"], report["scored"], report["failed"]) == (events, events - bad, bad)
    assert {row["event_id"] for row in rows(db, OPEN)} == set(frozen)
    scored = {row["id"] for row in rows(db, "SELECT id FROM pattern_events WHERE model_version IS NOT NULL")}
    assert scored == set(found) - set(frozen)
    assert value(db, "SELECT count(*) FROM ml_predictions WHERE source = 'backfill'") == events - bad


def test_a_dry_run_records_no_error(db):
    add_bars(db)
    go_live(
        db,
        body="ARRAY[1 / (p_features[1] - 2), 0]::float8[]",
        features=("day_of_week",),
        card={"golden_rows": [{"features": {"day_of_week": 1}, "probabilities": [-1.0, 0.0]}]},
    )
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    report = backfill(db, dry_run=True)
    assert report["failed"] == value(db, "SELECT count(*) FROM price_bars WHERE extract(isodow FROM ts) = 2")
    assert report["open_errors"] == 0
    assert report["check"] is None


def test_what_no_event_would_escape_ends_the_run_with_a_sentence(db):
    unscored_events(db)
    assert backfill(db, limit=100, batch=50)["scored"] == 100
    db.execute("DROP FUNCTION ml_generated.score_toy(float8[])")
    with pytest.raises(
        UserError, match=r"Function ml_generated\.score_toy.* does not exist; the 0 events scored before it"
    ):
        backfill(db, batch=50)
    assert rows(db, OPEN) == []


@pytest.mark.parametrize(
    ("state", "recorded"), [("55000", 3), ("23514", 3), ("55P03", None), ("53100", None), ("40P01", None)]
)
def test_errors_of_an_event_are_told_from_those_of_the_server(db, state, recorded):
    unscored_events(db)
    refuse_marked(db)
    db.execute(
        "CREATE OR REPLACE FUNCTION refuse_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.status = 'frozen'"
        f" THEN RAISE EXCEPTION 'not now' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$"
    )
    freeze_events(
        db, [row["id"] for row in rows(db, "SELECT id FROM pattern_events ORDER BY detected_at DESC LIMIT 3")]
    )
    if recorded is None:
        with pytest.raises(
            UserError, match=r"^Not now; the 200 events scored before it stay scored: run the backfill again"
        ):
            backfill(db, batch=100)
        recorded = 0
    else:
        assert backfill(db, batch=100)["failed"] == recorded
    assert len(rows(db, OPEN)) == recorded


def test_bad_events_do_not_use_up_the_limit(db):
    unscored_events(db)
    refuse_marked(db)
    freeze_events(db, [row["id"] for row in rows(db, "SELECT id FROM pattern_events ORDER BY detected_at LIMIT 60")])
    for _ in range(2):
        report = backfill(db, limit=30, batch=25)
        assert (report["scored"], report["failed"]) == (30, 60)


def test_the_report_checks_what_the_run_has_left(db):
    unscored_events(db)
    db.execute("UPDATE pattern_events SET used_for_training = true WHERE extract(day FROM detected_at) < 11")
    trained = value(db, "SELECT count(*) FROM pattern_events WHERE used_for_training")
    backfill(db, limit=10)
    check = backfill(db)["check"]
    assert check["logged"] == check["with_features"] == 290
    assert check["used_for_training"] == trained - 10
    distances = "SELECT count(*) FROM pattern_events WHERE ml_features ->> 'support_distance_pct' IS NOT NULL"
    first = " AND id IN (SELECT id FROM pattern_events ORDER BY detected_at LIMIT 10)"
    assert check["with_support_distance_pct"] == value(db, distances) - value(db, distances + first)
    assert (check["without_blended_confidence"], check["lost_by_the_log"]) == (0, 0)


# ---------------------------------------------------------------------------------- killed, and at the same time

SLOW = "ARRAY[0.15 + 0 * length(pg_sleep(0.004)::text), 0.85]::float8[]"
RUN = """
import sys
from trainer.backfill import backfill
from trainer.database import connect
with connect(sys.argv[1], autocommit=True) as connection:
    print(backfill(connection, batch=25)["scored"])
"""


def slow_events(db):
    add_bars(db)
    go_live(db, body=SLOW)
    db.execute("SELECT ml.disable()")
    insert_for_every_bar(db)
    db.execute("SELECT ml.enable()")


def assert_all_scored_and_logged_once(db):
    assert value(db, "SELECT count(*) FROM pattern_events WHERE model_version IS NULL") == 0
    logged = rows(
        db,
        "SELECT e.id, count(p.id) AS times, bool_and(e.ml_metadata #>> '{scoring,prediction_id}' = p.id::text) AS same"
        " FROM pattern_events AS e LEFT JOIN ml_predictions AS p ON p.event_id = e.id AND p.source = 'backfill' GROUP BY e.id",
    )
    assert len(logged) == 300
    assert {(row["times"], row["same"]) for row in logged} == {(1, True)}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_is_gone_on_with(db, db_url, how):
    slow_events(db)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, db_url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    done = "SELECT count(*) FROM pattern_events WHERE model_version IS NOT NULL"
    while value(db, done) < 50 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(30) != 0
    # A batch that its client has left behind holds its events until the server notices.
    while value(db, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") > 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = value(db, done)
    assert 50 <= before < 300
    assert before % 25 == 0
    assert value(db, "SELECT count(*) FROM ml_predictions WHERE source = 'backfill'") == before
    assert backfill(db)["scored"] == 300 - before
    assert_all_scored_and_logged_once(db)


def run_two(db_url):
    def run(_):
        with psycopg.connect(db_url, autocommit=True) as connection:
            return backfill(connection, batch=20)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(2)))


def test_two_at_the_same_time_share_the_work(db, db_url):
    slow_events(db)
    reports = run_two(db_url)
    assert sum(report["scored"] for report in reports) == 300
    assert min(report["scored"] for report in reports) >= 20
    assert_all_scored_and_logged_once(db)


def test_two_at_the_same_time_record_an_error_once(db, db_url):
    slow_events(db)
    refuse_marked(db)
    bad = {row["id"] for row in rows(db, "SELECT id FROM pattern_events ORDER BY detected_at LIMIT 45")[::9]}
    freeze_events(db, bad)
    reports = run_two(db_url)
    assert sum(report["scored"] for report in reports) == 300 - len(bad)
    assert {row["event_id"] for row in rows(db, OPEN)} == bad
    assert value(db, "SELECT count(*) FROM ml_predictions WHERE source = 'backfill'") == 300 - len(bad)


def test_a_lost_connection_is_a_sentence(db, db_url):
    slow_events(db)
    with psycopg.connect(db_url, autocommit=True) as connection:

        def end_it(_what, done, _total):
            if done == 50:
                db.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))

        with pytest.raises(UserError, match=r"the 50 events scored before it stay scored.*goes on where it stopped"):
            backfill(connection, batch=25, progress=end_it)
    assert backfill(db)["scored"] == 250
    assert_all_scored_and_logged_once(db)
