"""Backfill: set-based scoring of what has no score, with the numbers of the row trigger."""

from datetime import timedelta

import psycopg
import pytest
from support import START, add_bars, go_live, insert_event, install_model, predictions, rows, value

from trainer.backfill import backfill
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
        assert backfill(db)["scored"] == 290
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
