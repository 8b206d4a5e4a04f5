"""Shadow and canary: a challenger beside the champion, on the same rows."""

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from support import (
    RULE,
    START,
    add_bars,
    champion,
    event,
    go_live,
    insert_event,
    install_model,
    one,
    predictions,
    rows,
    value,
)


def with_challenger(db, percent=0, **options):
    """Make version toy (0.85) champion and version next (0.25) its challenger."""
    add_bars(db)
    go_live(db)
    install_model(db, "next", probability=options.pop("probability", 0.25), **options)
    db.execute("SELECT ml.set_challenger('next', 'test', %s)", (percent,))


def test_a_shadow_is_logged_and_not_acted_on(db):
    with_challenger(db)
    stored = insert_event(db)
    assert (stored["model_version"], stored["ml_confidence"]) == ("toy", 0.85)
    first, second = sorted(predictions(db), key=lambda row: row["role"])
    assert (first["role"], first["model_version"]) == ("champion", "toy")
    assert (second["role"], second["model_version"], second["arm"]) == ("shadow", "next", "ml")
    assert (second["ml_confidence_raw"], second["ml_confidence"]) == (0.25, 0.25)
    assert second["blended_confidence"] == pytest.approx(0.6 * 0.25 + 0.4 * RULE)
    for column in ("event_id", "predicted_at", "feature_hash", "rule_confidence", "source"):
        assert first[column] == second[column]
    assert first["id"] != second["id"]
    assert second["latency_us"] >= 0
    assert value(db, "SELECT ml.replay(%s)", second["id"])["equal"] is True


def test_every_row_of_a_statement_has_its_shadow(db):
    with_challenger(db)
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT 'TEST', '1d', 'hammer', '2024-10-01', n / 100.0 FROM generate_series(1, 50) AS n"
    )
    pairs = rows(
        db,
        "SELECT c.event_id FROM ml_predictions c JOIN ml_predictions s USING (event_id, predicted_at)"
        " WHERE c.role = 'champion' AND s.role = 'shadow' AND c.rule_confidence = s.rule_confidence",
    )
    assert len(pairs) == 50


def test_no_challenger_no_shadow(db):
    with_challenger(db)
    db.execute("SELECT ml.withdraw_challenger('test')")
    insert_event(db)
    assert [row["role"] for row in predictions(db)] == ["champion"]


@pytest.mark.parametrize("fault", ["(1 / 0)::text::float8[]", "ARRAY['NaN', 0.5]::float8[]"])
def test_a_broken_challenger_harms_nobody(db, fault):
    with_challenger(db)
    db.execute(
        "CREATE OR REPLACE FUNCTION ml_generated.score_next(p_features float8[]) RETURNS float8[]"
        f" LANGUAGE plpgsql AS $$ BEGIN RETURN {fault}; END $$"
    )
    stored = insert_event(db)
    assert (stored["model_version"], stored["ml_confidence"]) == ("toy", 0.85)
    shadow = one(db, "SELECT * FROM ml_predictions WHERE role = 'shadow'")
    assert (shadow["ml_confidence"], shadow["fallback_reason"]) == (
        None,
        "error" if "1 / 0" in fault else "score_invalid",
    )
    assert shadow["error_sqlstate"] == ("22012" if "1 / 0" in fault else None)
    assert one(db, "SELECT * FROM ml_predictions WHERE role = 'champion'")["fallback_reason"] is None


def test_labels_and_unchanged_updates_log_no_shadow(db):
    with_challenger(db)
    stored = insert_event(db)
    db.execute("UPDATE pattern_events SET outcome_label = 'win', status = 'closed'")
    db.execute("UPDATE pattern_events SET symbol = symbol")
    assert [row["role"] for row in predictions(db, stored["id"])].count("shadow") == 1


def test_the_canary_scores_its_share_and_keeps_its_members(db):
    with_challenger(db)
    members: set[object] = set()
    identifiers = "SELECT md5(n::text)::uuid AS id FROM generate_series(1, 400) AS n"
    for percent in (5, 25, 100):
        db.execute("SELECT ml.set_challenger('next', 'test', %s)", (percent,))
        db.execute("DELETE FROM pattern_events")
        db.execute(
            "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
            f" SELECT id, 'TEST', '1d', 'hammer', '2024-10-01', 0.5 FROM ({identifiers}) AS i"
        )
        scored = {row["id"] for row in rows(db, "SELECT id FROM pattern_events WHERE model_version = 'next'")}
        assert members <= scored
        assert abs(len(scored) / 400 - percent / 100) < 0.06
        members = scored
    roles = rows(
        db,
        "SELECT role, model_version, count(*) FROM ml_predictions WHERE predicted_at >= (SELECT max(predicted_at)"
        " FROM ml_predictions) - interval '10 seconds' GROUP BY 1, 2 ORDER BY 1, 2",
    )
    seen = {(row["role"], row["model_version"]) for row in roles}
    assert seen == {("champion", "toy"), ("challenger", "next"), ("shadow", "next"), ("shadow", "toy")}


def test_the_canary_is_independent_of_the_rollout(db):
    """Half of the events that ML scores: the challenger's are drawn from the events inside the rollout."""
    with_challenger(db, 50)
    db.execute("SELECT ml.set_rollout(50)")
    db.execute(
        "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT md5(n::text)::uuid, 'TEST', '1d', 'hammer', '2024-10-01', 0.5 FROM generate_series(1, 400) AS n"
    )
    counts = {
        row["v"]: row["n"] for row in rows(db, "SELECT model_version v, count(*) n FROM pattern_events GROUP BY 1")
    }
    assert 160 < counts[None] < 240
    assert 70 < counts["next"] < 130


def test_a_failing_canary_gives_way_to_the_champion(db):
    with_challenger(db, 100)
    db.execute("DROP FUNCTION ml_generated.score_next(float8[])")
    stored = insert_event(db)
    assert (stored["model_version"], stored["ml_confidence"]) == ("toy", 0.85)
    (logged,) = predictions(db)
    assert (logged["role"], logged["model_version"], logged["fallback_reason"], logged["error_sqlstate"]) == (
        "challenger",
        "toy",
        "challenger_failed",
        "42883",
    )


def test_an_update_of_a_canary_event_reuses_its_score(db):
    with_challenger(db, 100)
    stored = insert_event(db, detected_at=START + timedelta(days=290, hours=9))
    assert stored["model_version"] == "next"
    db.execute("UPDATE pattern_events SET detected_at = detected_at + interval '1 microsecond'")
    db.execute("UPDATE pattern_events SET symbol = symbol")
    assert event(db, stored["id"])["model_version"] == "next"
    assert [row["cache_hit"] for row in predictions(db) if row["role"] == "challenger"] == [False, True, True]


def test_the_history_says_who_challenged_whom(db):
    with_challenger(db, 5)
    db.execute("SELECT ml.withdraw_challenger('not convincing')")
    history = rows(db, "SELECT action, version, reason, details FROM ml_deployments ORDER BY id DESC LIMIT 4")[::-1]
    assert [(row["action"], row["reason"]) for row in history] == [
        ("challenger", "test"),
        ("canary", "test"),
        ("withdraw", "not convincing"),
        ("canary", "not convincing"),
    ]
    assert history[1]["details"] == {"canary_percent": {"old": 0, "new": 5}}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("ml.set_challenger('nobody', 'x')", "model version nobody is not registered: deploy it first"),
        ("ml.set_challenger('toy', 'x')", "model version toy is the champion and cannot challenge itself"),
        ("ml.set_challenger('next', 'x', 101)", "canary percent must lie between 0 and 100, not 101"),
        ("ml.set_challenger('next', 'x', 'NaN')", "canary percent must lie between 0 and 100, not NaN"),
        ("ml.set_challenger(NULL, 'x')", "model version NULL is not registered: deploy it first"),
    ],
)
def test_what_is_refused(db, call, sentence):
    with_challenger(db)
    with pytest.raises(Exception, match=sentence):
        db.execute(f"SELECT {call}")


def test_a_challenger_whose_function_is_missing_is_refused(db):
    add_bars(db)
    go_live(db)
    install_model(db, "next")
    db.execute("DROP FUNCTION ml_generated.score_next(float8[])")
    with pytest.raises(Exception, match="model version next cannot score here: functions"):
        db.execute("SELECT ml.set_challenger('next', 'test')")
    with pytest.raises(Exception, match="there is no challenger to withdraw"):
        db.execute("SELECT ml.withdraw_challenger('test')")
    assert champion(db) == "toy"


def break_challenger(db, expression):
    db.execute(
        "CREATE OR REPLACE FUNCTION ml_generated.score_next(p_features float8[]) RETURNS float8[]"
        f" LANGUAGE plpgsql AS $$ BEGIN RETURN {expression}; END $$"
    )


@pytest.mark.parametrize("percent", [0, 100])
@pytest.mark.parametrize(
    "fault", ["(1 / 0)::text::float8[]", "(SELECT ARRAY[0.75, 0.25]::float8[] FROM pg_sleep(0.02))"]
)
def test_a_failing_or_slow_challenger_is_stopped_without_a_scheduler(db, percent, fault):
    with_challenger(db, percent)
    db.execute("UPDATE ml_settings SET breaker_minimum_calls = 4, breaker_latency_ms = 15")
    break_challenger(db, fault)
    for _ in range(6):
        insert_event(db, "id")
    stops = rows(db, "SELECT version, reason FROM ml_deployments WHERE action = 'challenger_stop'")
    assert [row["version"] for row in stops] == ["next"]
    before = len(predictions(db))
    stored = insert_event(db)
    assert stored["model_version"] == "toy"
    assert len(predictions(db)) == before + 1, "neither canary nor shadow"
    assert any("challenger next was stopped" in problem for problem in value(db, "SELECT ml_health()")["problems"])
    break_challenger(db, "ARRAY[0.75, 0.25]::float8[]")
    db.execute("SELECT ml.set_challenger('next', 'mended', %s)", (percent,))
    assert insert_event(db)["model_version"] == ("next" if percent else "toy")


def test_a_rollback_does_not_wait_for_the_checks_of_a_challenger(db, db_url):
    add_bars(db)
    go_live(db)
    install_model(db, "next", probability=0.2)
    db.execute("SELECT ml.promote('next', 'toy', 'test')")
    install_model(db, "slow", body="(SELECT ARRAY[0.15, 0.85]::float8[] FROM pg_sleep(1.5))")
    with psycopg.connect(db_url, autocommit=True) as other:
        naming = threading.Thread(target=lambda: other.execute("SELECT ml.set_challenger('slow', 'test')"))
        naming.start()
        time.sleep(0.3)
        started = time.perf_counter()
        db.execute("SELECT ml.rollback('now')")
        took = time.perf_counter() - started
        naming.join()
    assert took < 1
    assert champion(db) == "toy"
