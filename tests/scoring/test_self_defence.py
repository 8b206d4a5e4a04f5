"""What scoring does when a model fails: the version before it, rules, the circuit breaker."""

import threading
from datetime import timedelta

import psycopg
import pytest
from support import RULE, add_bars, champion, go_live, insert_event, install_model, one, predictions, rows, value

BROKEN = "(1 / 0)::text::float8[]"


def body(db, version, expression):
    """Replace the body of a compiled model: a fault, or its repair."""
    db.execute(
        f"CREATE OR REPLACE FUNCTION ml_generated.score_{version}(p_features float8[]) RETURNS float8[]"
        f" LANGUAGE plpgsql AS $$ BEGIN RETURN {expression}; END $$"
    )


def two_versions(db):
    """Make version new (0.85) champion after version old (0.25)."""
    add_bars(db)
    go_live(db, "old", probability=0.25)
    install_model(db, "new")
    db.execute("SELECT ml.promote('new', 'old', 'test')")


def insert_events(db, count):
    """Insert events, one statement each."""
    for _ in range(count):
        insert_event(db, "id")


def switches(db):
    """Return what the circuit breaker has done, oldest first."""
    return [row["action"] for row in rows(db, "SELECT * FROM ml_deployments WHERE action ~ 'breaker' ORDER BY id")]


@pytest.mark.parametrize(
    "fault",
    [
        BROKEN,
        "ARRAY['NaN', 0.5]::float8[]",
        "NULL::float8[]",
        None,
    ],
)
def test_a_failing_champion_gives_way_to_the_previous_version(db, fault):
    two_versions(db)
    if fault is None:
        db.execute("DROP FUNCTION ml_generated.score_new(float8[])")
    else:
        body(db, "new", fault)
    stored = insert_event(db)
    assert (stored["model_version"], stored["ml_confidence"]) == ("old", 0.25)
    assert stored["blended_confidence"] == pytest.approx(0.6 * 0.25 + 0.4 * RULE)
    (logged,) = predictions(db)
    sqlstate = {BROKEN: "22012", None: "42883"}.get(fault)
    assert (logged["role"], logged["model_version"]) == ("champion", "old")
    assert (logged["fallback_reason"], logged["error_sqlstate"]) == ("champion_failed", sqlstate)
    assert stored["ml_metadata"]["scoring"]["failed_version"] == "new"
    assert value(db, "SELECT ml.replay(%s)", logged["id"])["equal"] is True


def test_two_failing_versions_leave_the_rule(db):
    two_versions(db)
    body(db, "new", "ARRAY['NaN', 0.5]::float8[]")
    body(db, "old", BROKEN)
    stored = insert_event(db)
    assert (stored["model_version"], stored["blended_confidence"]) == (None, RULE)
    (logged,) = predictions(db)
    assert (logged["model_version"], logged["fallback_reason"], logged["error_sqlstate"]) == (
        "new",
        "score_invalid",
        "22012",
    )


def test_an_update_of_an_event_that_the_previous_version_scored(db):
    """The score stays when nothing has changed, and the repaired champion scores what has."""
    two_versions(db)
    body(db, "new", BROKEN)
    stored = insert_event(db)
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    db.execute("UPDATE pattern_events SET symbol = symbol")
    assert one(db, "SELECT * FROM pattern_events")["ml_confidence"] == stored["ml_confidence"] == 0.25
    db.execute("UPDATE pattern_events SET detected_at = detected_at - interval '9 days'")
    assert one(db, "SELECT * FROM pattern_events")["ml_confidence"] == 0.85


def test_errors_open_the_breaker_without_a_scheduler(db):
    two_versions(db)
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    insert_events(db, 17)
    body(db, "new", BROKEN)
    insert_events(db, 3)
    assert switches(db) == [], "3 of 20 calls are 15 %, not more"
    insert_events(db, 1)
    assert switches(db) == ["breaker_open"]
    opened = one(db, "SELECT * FROM ml_deployments WHERE action = 'breaker_open'")
    assert opened["version"] == "new"
    assert opened["reason"] == "4 of 21 calls failed (SQLSTATE 22012)"
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    stored = insert_event(db)
    assert (stored["blended_confidence"], stored["ml_confidence"], stored["ml_features"]) == (RULE, None, None)
    logged = predictions(db, stored["id"])[0]
    assert (logged["fallback_reason"], logged["error_sqlstate"], logged["role"]) == ("breaker_open", None, "champion")
    assert value(db, "SELECT ml_health()")["circuit_breaker"]["state"] == "open"


def test_the_smallest_confidence_of_a_rule_is_no_error(db):
    two_versions(db)
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT symbol, timeframe, pattern_type, detected_at, 5e-324 FROM pattern_events, generate_series(1, 60)"
        " WHERE id = %s",
        (insert_event(db)["id"],),
    )
    assert value(db, "SELECT count(*) FROM ml_predictions WHERE error_sqlstate IS NOT NULL") == 0
    assert value(db, "SELECT ml_health() #>> '{circuit_breaker,state}'") == "closed"


def test_fewer_calls_than_the_minimum_open_nothing(db):
    two_versions(db)
    body(db, "new", BROKEN)
    insert_events(db, 19)
    assert switches(db) == []


def test_a_single_statement_of_many_rows_opens_the_breaker(db):
    two_versions(db)
    body(db, "new", BROKEN)
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT 'TEST', '1d', 'hammer', '2024-10-01', 0.5 FROM generate_series(1, 30)"
    )
    assert switches(db) == ["breaker_open"]


def test_slow_warm_calls_open_the_breaker_and_cold_ones_do_not(db, db_url):
    two_versions(db)
    db.execute("UPDATE ml_settings SET breaker_minimum_calls = 5, breaker_latency_ms = 20")
    body(db, "new", "(SELECT ARRAY[0.15, 0.85]::float8[] FROM pg_sleep(0.03))")
    for _ in range(6):
        with psycopg.connect(db_url, autocommit=True) as session:
            insert_event(session, "id")
    assert [row["cold"] for row in predictions(db)] == [True] * 6
    assert switches(db) == []
    insert_events(db, 6)  # the first of them is cold
    assert switches(db) == ["breaker_open"]
    assert (
        "95th percentile of 5 warm calls"
        in one(db, "SELECT reason FROM ml_deployments ORDER BY id DESC LIMIT 1")["reason"]
    )


def open_breaker(db):
    """Let the champion fail until the circuit breaker opens, and pass the cooldown."""
    two_versions(db)
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    db.execute("UPDATE ml_settings SET breaker_minimum_calls = 3, breaker_cooldown = '1 hour'")
    body(db, "new", BROKEN)
    insert_events(db, 3)
    assert switches(db) == ["breaker_open"]
    db.execute("UPDATE ml_settings SET breaker_cooldown = '1 microsecond'")


def test_good_probes_close_the_breaker(db):
    open_breaker(db)
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    insert_events(db, 2)
    assert [row["arm"] for row in predictions(db)[3:]] == ["probe", "probe"]
    assert switches(db) == ["breaker_open"]
    insert_events(db, 1)
    assert switches(db) == ["breaker_open", "breaker_close"]
    assert insert_event(db)["ml_confidence"] == 0.85
    assert predictions(db)[-1]["arm"] == "ml"


def test_a_failed_probe_opens_the_breaker_again(db):
    open_breaker(db)
    insert_events(db, 1)
    assert switches(db) == ["breaker_open", "breaker_open"]
    db.execute("UPDATE ml_settings SET breaker_cooldown = '1 hour'")
    insert_events(db, 1)
    assert predictions(db)[-1]["fallback_reason"] == "breaker_open"


def test_one_probe_per_statement(db):
    open_breaker(db)
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT 'TEST', '1d', 'hammer', '2024-10-01', 0.5 FROM generate_series(1, 30)"
    )
    counts = rows(
        db, "SELECT arm, count(*) FROM ml_predictions WHERE predicted_at > now() - interval '1 hour' GROUP BY 1"
    )
    assert {row["arm"]: row["count"] for row in counts} == {"ml": 3 + 29, "probe": 1}


@pytest.mark.parametrize("repair", ["SELECT ml.rollback('broken', 'old')", "SELECT ml.close_breaker('repaired')"])
def test_a_rollback_or_a_hand_closes_the_breaker(db, repair):
    open_breaker(db)
    db.execute("UPDATE ml_settings SET breaker_cooldown = '1 hour'")
    assert value(db, "SELECT breaker_opened_at IS NOT NULL FROM ml.scoring_context") is True
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    db.execute(repair)
    assert insert_event(db)["model_version"] == champion(db)


def test_the_breaker_can_be_switched_off(db):
    open_breaker(db)
    db.execute("UPDATE ml_settings SET breaker_enabled = false")
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    assert insert_event(db)["ml_confidence"] == 0.85
    body(db, "new", BROKEN)
    insert_events(db, 5)
    assert switches(db) == ["breaker_open"]


def test_events_of_an_open_breaker_are_backfilled(db):
    open_breaker(db)
    db.execute("UPDATE ml_settings SET breaker_cooldown = '1 hour'")
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    stored = insert_event(db)
    assert stored["entry_price"] is None
    assert value(db, "SELECT ml.backfill()")["scored"] == 4
    after = one(db, "SELECT * FROM pattern_events WHERE id = %s", stored["id"])
    assert (after["ml_confidence"], after["entry_price"] is None) == (0.85, False)


def test_writers_that_notice_at_once_write_one_row(db, db_url):
    two_versions(db)
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    body(db, "new", BROKEN)

    def write():
        with psycopg.connect(db_url, autocommit=True) as session:
            insert_events(session, 15)

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(predictions(db)) == 90
    assert switches(db) == ["breaker_open"]


def test_a_long_transaction_does_not_keep_others_from_opening_the_breaker(db, db_url):
    two_versions(db)
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    db.execute("UPDATE ml_settings SET breaker_minimum_calls = 3")
    body(db, "new", BROKEN)
    with psycopg.connect(db_url) as long:
        insert_events(long, 3)
        assert switches(long) == ["breaker_open"]
        insert_events(db, 3)
        assert switches(db) == [], "the other transaction is about to"
        db.execute("SELECT ml.check_breaker(clock_timestamp() + interval '11 seconds')")
        assert switches(db) == ["breaker_open"]


def test_old_calls_and_calls_before_the_last_switch_do_not_count(db):
    two_versions(db)
    db.execute("UPDATE ml_settings SET breaker_minimum_calls = 3")
    body(db, "new", BROKEN)
    insert_events(db, 2)
    db.execute("UPDATE ml_predictions SET predicted_at = predicted_at - interval '6 minutes'")
    insert_events(db, 2)
    assert switches(db) == []
    assert (
        value(db, "SELECT ml.check_breaker(%s)", predictions(db)[-1]["predicted_at"] + timedelta(hours=1)) == "closed"
    )


def test_nothing_of_the_path_is_volatile(db):
    """A VOLATILE function would take a snapshot of its own, and a promote could split a batch."""
    volatile = {
        row["proname"]: row["provolatile"]
        for row in rows(
            db,
            "SELECT proname, provolatile FROM pg_proc WHERE pronamespace = 'ml'::regnamespace AND proname IN"
            " ('use_model', 'score_shadow', 'finish_score', 'score_features', 'score_pattern_event')",
        )
    }
    assert volatile == dict.fromkeys(
        ("use_model", "score_shadow", "finish_score", "score_features", "score_pattern_event"), "s"
    )


def test_rare_probes_close_the_breaker_too(db):
    """However long ago: a detector that sends an event a day must not stay on rules for good."""
    open_breaker(db)
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    for _ in range(3):
        insert_events(db, 1)
        db.execute("ALTER TABLE ml_deployments DISABLE TRIGGER USER")
        db.execute("UPDATE ml_deployments SET occurred_at = occurred_at - interval '1 day' WHERE action ~ 'breaker'")
        db.execute("UPDATE ml_predictions SET predicted_at = predicted_at - interval '1 hour'")
    assert switches(db) == ["breaker_open", "breaker_close"]


def test_a_statement_of_many_rows_does_not_suffer_until_its_end(db):
    two_versions(db)
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    db.execute("UPDATE ml_settings SET breaker_minimum_calls = 5")
    body(db, "new", BROKEN)
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT 'TEST', '1d', 'hammer', '2024-10-01', 0.5 FROM generate_series(1, 30)"
    )
    reasons = rows(db, "SELECT fallback_reason AS reason, count(*) FROM ml_predictions GROUP BY 1")
    assert {row["reason"]: row["count"] for row in reasons} == {"error": 5, "breaker_open": 25}


def test_single_bad_rows_stop_no_statement(db):
    two_versions(db)
    db.execute("UPDATE ml_settings SET breaker_minimum_calls = 2, breaker_error_rate = 0.9")
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    body(db, "new", "ARRAY[0.15, 0.85 + 0 / (p_features[2] - 5)]")
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT 'TEST', '1d', 'hammer', CASE n % 2 WHEN 0 THEN '2024-10-04'::date ELSE '2024-10-03'::date END, 0.5"
        " FROM generate_series(1, 20) AS n"
    )
    reasons = rows(db, "SELECT fallback_reason AS reason, count(*) FROM ml_predictions GROUP BY 1")
    assert {row["reason"]: row["count"] for row in reasons} == {"error": 10, None: 10}


def test_another_versions_open_breaker_says_nothing_about_this_one(db):
    """A promotion that commits after the breaker opened for the old champion."""
    open_breaker(db)
    db.execute("UPDATE ml_settings SET breaker_cooldown = '1 hour'")
    db.execute("UPDATE ml_aliases SET version = 'old', calibrator_version = NULL WHERE alias = 'champion'")
    assert insert_event(db)["model_version"] == "old"
    assert value(db, "SELECT ml_health()")["circuit_breaker"]["state"] == "closed"


def test_enable_closes_the_breaker(db):
    open_breaker(db)
    db.execute("UPDATE ml_settings SET breaker_cooldown = '1 hour'")
    body(db, "new", "ARRAY[0.15, 0.85]::float8[]")
    db.execute("SELECT ml.enable('repaired')")
    assert insert_event(db)["ml_confidence"] == 0.85


def test_a_recalibrated_champion_still_falls_back_to_another_model(db):
    two_versions(db)
    db.execute(
        "INSERT INTO ml_calibrators (calibrator_version, model_version, method, a, b) VALUES ('new-2', 'new', 'sigmoid', -1, 0)"
    )
    db.execute("SELECT ml.promote('new', 'new', 'recalibrated', true)")
    assert value(db, "SELECT version FROM ml_aliases WHERE alias = 'previous'") == "old"
    body(db, "new", BROKEN)
    assert insert_event(db)["model_version"] == "old"
    back = value(db, "SELECT ml.rollback('the calibrator was wrong')")
    assert (back["champion"], back["previous"], back["withdrawn_calibrator"]) == ("new", "old", "new-2")
    # What was withdrawn does not come back with the next promotion.
    assert value(db, "SELECT ml.promote('new', 'new', 'again')")["changed"] is False
