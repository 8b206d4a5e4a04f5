"""Scoring again what a withdrawn model has scored: what was shown stays on record, and nothing else is touched."""

import json
from datetime import timedelta
from uuid import UUID

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
)  # fmt: skip

GOOD, BAD = 0.3, 0.9
RESULTS = (
    "ml_confidence_raw", "ml_confidence", "blended_confidence", "prediction_class", "model_version", "ml_features",
)  # fmt: skip


@pytest.fixture
def withdrawn(db):
    """Return a database where version bad scored ten events, between others by good, and was rolled back."""
    add_bars(db)
    go_live(db, "good", probability=GOOD)
    install_model(db, "bad", probability=BAD)
    for day in range(3):
        insert_event(db, detected_at=START + timedelta(days=250 + day))
    db.execute("SELECT ml.promote('bad', 'good', 'looked better')")
    for day in range(10):
        insert_event(db, detected_at=START + timedelta(days=260 + day), metadata=json.dumps({"mine": day}))
    db.execute("SELECT ml.rollback('it is not')")
    for day in range(2):
        insert_event(db, detected_at=START + timedelta(days=270 + day))
    return db


def since(db):
    return value(db, "SELECT max(occurred_at) FROM ml_deployments WHERE version = 'bad'")


def rescore(db, *arguments, version="bad", at=None, **named):
    values = {"p_version": version, "p_since": at or since(db), **named}
    query = ", ".join(f"{name} => %s" for name in values)
    return value(db, f"SELECT ml.rescore({query})", *values.values())


def test_it_scores_what_the_withdrawn_version_touched_and_keeps_what_was_shown(withdrawn):
    db = withdrawn
    before = {row["id"]: row for row in rows(db, "SELECT * FROM pattern_events")}
    logged = {row["id"]: row for row in predictions(db)}
    result = rescore(db, p_reason="bad was bad")
    assert (result["candidates"], result["scored"], result["not_scored"], result["failed"]) == (10, 10, {}, 0)
    assert (result["withdrawn_version"], result["model_version"]) == ("bad", "good")

    after = {row["id"]: row for row in rows(db, "SELECT * FROM pattern_events")}
    log = {row["id"]: row for row in predictions(db)}
    assert {identifier: log[identifier] for identifier in logged} == logged
    assert len(log) == len(logged) + 10
    for identifier, old in before.items():
        new = after[identifier]
        if old["model_version"] == "good":
            assert new == old
            continue
        assert {name for name in new if new[name] != old[name]} == {
            "ml_confidence_raw", "ml_confidence", "blended_confidence", "prediction_class", "model_version", "ml_metadata",
        }  # fmt: skip
        assert (new["model_version"], new["ml_confidence"], new["prediction_class"]) == ("good", GOOD, "rest")
        assert new["blended_confidence"] == pytest.approx(0.6 * GOOD + 0.4 * RULE, abs=1e-15)
        scoring, shown = new["ml_metadata"]["scoring"], old["ml_metadata"]["scoring"]
        assert scoring["replaces"] == {
            "prediction_id": shown["prediction_id"],
            "scored_at": shown["scored_at"],
            "model_version": "bad",
            "calibrator_version": None,
            "ml_confidence_raw": BAD,
            "ml_confidence": BAD,
            "blended_confidence": old["blended_confidence"],
            "prediction_class": "win",
            "reason": "bad was bad",
        }
        assert (scoring["feature_hash"], scoring["bar_ts"], scoring["derived"]) == (
            shown["feature_hash"], shown["bar_ts"], shown["derived"],
        )  # fmt: skip
        row = log[UUID(scoring["prediction_id"])]
        assert (row["event_id"], row["source"], row["role"], row["model_version"], row["latency_us"]) == (
            identifier, "backfill", "champion", "good", None,
        )  # fmt: skip
        assert row["blended_confidence"] == new["blended_confidence"]
        assert value(db, "SELECT ml.replay(%s)", row["id"])["equal"] is True
    assert rescore(db)["candidates"] == 0

    record = one(db, "SELECT * FROM ml_deployments WHERE action = 'rescore'")
    assert (record["version"], record["previous_version"], record["reason"]) == ("good", "bad", "bad was bad")
    assert record["details"]["scored"] == 10


def test_rescored_rows_equal_those_of_an_insert(withdrawn):
    """With the calibrator and the weights of now, as an INSERT would."""
    db = withdrawn
    db.execute("UPDATE ml_settings SET ml_weight = 0.7, rule_weight = 0.2")
    db.execute("INSERT INTO ml_calibrators (calibrator_version, model_version, method, a, b, card)"
               " VALUES ('good-1', 'good', 'sigmoid', -2, 0.3, '{\"metrics\": {\"ece\": 0.01}}')")  # fmt: skip
    db.execute("SELECT ml.promote('good', 'good', 'recalibrated')")
    rescore(db)
    for old in rows(db, "SELECT * FROM pattern_events WHERE ml_metadata #> '{scoring,replaces}' IS NOT NULL"):
        new = insert_event(db, detected_at=old["detected_at"])
        assert {name: new[name] for name in RESULTS} == {name: old[name] for name in RESULTS}
        kept = ("feature_hash", "calibrator_version", "ml_weight", "rule_weight", "role", "arm", "fallback_reason")
        assert {name: new["ml_metadata"]["scoring"][name] for name in kept} == {
            name: old["ml_metadata"]["scoring"][name] for name in kept
        }


def test_features_are_those_known_at_the_time(withdrawn):
    """Bars that were corrected or lost since do not matter."""
    db = withdrawn
    stored = {row["id"]: row["ml_features"] for row in rows(db, "SELECT id, ml_features FROM pattern_events")}
    db.execute("DELETE FROM price_bars")
    assert rescore(db)["scored"] == 10
    assert {row["id"]: row["ml_features"] for row in rows(db, "SELECT id, ml_features FROM pattern_events")} == stored


def test_it_goes_on_where_it_stopped(withdrawn):
    db = withdrawn
    start = since(db)
    first = rescore(db, at=start, p_limit=4)
    second = rescore(db, at=first["last_scored_at"], p_limit=4)
    third = rescore(db, at=second["last_scored_at"], p_limit=4)
    assert [batch["scored"] for batch in (first, second, third)] == [4, 4, 2]
    assert value(db, "SELECT count(*) FROM pattern_events WHERE model_version = 'bad'") == 0


def test_a_dry_run_counts_and_writes_nothing(withdrawn):
    db = withdrawn

    def state():
        return value(db, "SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM pattern_events AS e"), len(
            predictions(db)
        )

    before = state()
    result = rescore(db, p_dry_run=True)
    assert (result["dry_run"], result["candidates"], result["scored"]) == (True, 10, 10)
    assert state() == before
    assert value(db, "SELECT count(*) FROM ml_deployments WHERE action = 'rescore'") == 0


def test_only_what_was_scored_in_the_window(withdrawn):
    db = withdrawn
    times = [row["predicted_at"] for row in predictions(db) if row["model_version"] == "bad"]
    assert rescore(db, at=times[2], p_until=times[5])["scored"] == 3
    assert rescore(db, at=times[9] + timedelta(microseconds=1))["candidates"] == 0
    assert value(db, "SELECT count(*) FROM pattern_events WHERE model_version = 'bad'") == 7


def test_rows_that_somebody_else_changes_are_left_for_the_next_call(withdrawn, db_url):
    db = withdrawn
    with psycopg.connect(db_url) as other:
        other.execute(
            "UPDATE pattern_events SET status = 'busy' WHERE detected_at < %s", (START + timedelta(days=262),)
        )
        assert rescore(db)["scored"] == 8
        other.commit()
    assert rescore(db)["scored"] == 2


def test_an_event_changed_since_is_found_by_its_latest_scoring(withdrawn):
    """The score came from bad, whatever was updated later; what an UPDATE has scored anew with good is not bad's."""
    db = withdrawn
    db.execute("UPDATE pattern_events SET status = 'seen', outcome_label = 'win'")
    db.execute("UPDATE pattern_events SET rule_confidence = 0.5 WHERE detected_at = %s", (START + timedelta(days=261),))
    db.execute(
        "UPDATE pattern_events SET pattern_type = 'hammer' WHERE detected_at = %s", (START + timedelta(days=262),)
    )
    assert rescore(db)["scored"] == 9
    changed = one(db, "SELECT * FROM pattern_events WHERE detected_at = %s", START + timedelta(days=261))
    assert changed["blended_confidence"] == pytest.approx(0.6 * GOOD + 0.4 * 0.5, abs=1e-15)
    assert changed["ml_metadata"]["scoring"]["replaces"]["blended_confidence"] == pytest.approx(0.6 * BAD + 0.4 * 0.5)


def test_events_whose_log_row_was_dropped_are_found_too(withdrawn):
    db = withdrawn
    lost = one(db, "SELECT id, event_id FROM ml_predictions WHERE model_version = 'bad' LIMIT 1")
    db.execute("DELETE FROM ml_predictions WHERE id = %s", (lost["id"],))
    db.execute(
        "INSERT INTO ml_log_drops (event_id, prediction_id, error_sqlstate, error_message) VALUES (%s, %s, '55P03', 'x')",
        (lost["event_id"], lost["id"]),
    )
    assert rescore(db)["scored"] == 10


def test_a_second_withdrawal_keeps_both_records(withdrawn):
    db = withdrawn
    rescore(db, p_reason="first")
    install_model(db, "third", probability=0.5)
    db.execute("SELECT ml.promote('third', 'good', 'test')")
    result = rescore(db, version="good", at=START, p_reason="second")
    assert result["scored"] == 15
    nested = rows(db, "SELECT ml_metadata #> '{scoring,replaces}' AS r FROM pattern_events"
                      " WHERE ml_metadata #> '{scoring,replaces,replaces}' IS NOT NULL")  # fmt: skip
    assert len(nested) == 10
    for row in nested:
        assert (row["r"]["model_version"], row["r"]["reason"]) == ("good", "second")
        assert (row["r"]["replaces"]["model_version"], row["r"]["replaces"]["reason"]) == ("bad", "first")


def test_what_the_champion_cannot_score_gets_the_rules_confidence(withdrawn):
    db = withdrawn
    first, second, third = rows(
        db, "SELECT id FROM pattern_events WHERE model_version = 'bad' ORDER BY detected_at LIMIT 3"
    )
    db.execute("UPDATE pattern_events SET ml_features = NULL WHERE id = %s", (first["id"],))
    db.execute("UPDATE pattern_events SET ml_features = '[1]' WHERE id = %s", (second["id"],))
    db.execute("UPDATE pattern_events SET rule_confidence = 'NaN' WHERE id = %s", (third["id"],))
    result = rescore(db)
    assert (result["candidates"], result["not_scored"]) == (10, {"features_missing": 2})
    for row in (first, second):
        stored = event(db, row["id"])
        assert (stored["model_version"], stored["ml_confidence"], stored["blended_confidence"]) == (None, None, RULE)
        assert predictions(db, row["id"])[-1]["fallback_reason"] == "features_missing"
    stored = event(db, third["id"])
    assert (stored["model_version"], stored["ml_confidence"], stored["blended_confidence"]) == ("good", GOOD, None)
    # Backfill computes their features again and scores them.
    assert value(db, "SELECT ml.backfill()")["scored"] == 2


def test_one_bad_event_does_not_hold_up_the_rest(withdrawn):
    db = withdrawn
    install_model(
        db, "fragile", features=("day_of_week",),
        body="CASE WHEN p_features[1] = 2 THEN ARRAY[1 / (p_features[1] - 2), 0] ELSE ARRAY[0.5, 0.5]::float8[] END",
        card={"golden_rows": [{"features": {"day_of_week": 1}, "probabilities": [0.5, 0.5]}]},
    )  # fmt: skip
    db.execute("SELECT ml.promote('fragile', 'good', 'test')")
    result = rescore(db)
    tuesdays = value(db, "SELECT count(*) FROM pattern_events WHERE model_version = 'bad'")
    assert result["failed"] == tuesdays > 0
    assert result["scored"] == 10 - tuesdays
    assert result["errors"][0]["sqlstate"] == "22012"


def test_it_refuses_what_makes_no_sense_in_a_sentence(withdrawn):
    db = withdrawn
    for version, sentence in (("good", r"is still the champion: withdraw it first"), ("nowhere", "is not registered")):
        with pytest.raises(psycopg.Error, match=sentence):
            rescore(db, version=version)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_since must say"):
        db.execute("SELECT ml.rescore('bad', NULL)")
    for limit in (0, -1, None):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_limit must be at least 1"):
            rescore(db, p_limit=limit)
    db.execute("INSERT INTO ml_aliases VALUES ('challenger', 'bad')")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="still the challenger"):
        rescore(db)
    db.execute("DELETE FROM ml_aliases WHERE alias = 'challenger'")
    db.execute("SELECT ml.disable()")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=r"call ml\.enable\(\)"):
        rescore(db)
    assert rescore(db, p_dry_run=True)["scored"] == 10
    db.execute("DELETE FROM ml_aliases")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="no champion"):
        rescore(db, p_dry_run=True)
    db.execute("DELETE FROM ml_settings")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="ml_settings has no row"):
        rescore(db)
    assert champion(db) is None
