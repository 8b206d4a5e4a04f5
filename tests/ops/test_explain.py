"""What is said about why an event got its score, and that a logged score can be computed again."""

import math

import psycopg
import pytest
from support import add_bars, event, go_live, insert_event, install_model, predictions, rows, value

SCORE = "ARRAY[1 - coalesce(p_features[1], 50) / 100, coalesce(p_features[1], 50) / 100]"
GOLDEN = {"golden_rows": [{"features": {"rsi_14": 50.0}, "probabilities": [0.5, 0.5]}]}


def add_function(db, name, expression):
    db.execute(
        f"CREATE FUNCTION ml_generated.{name}(p_features float8[]) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE"
        f" AS $f$ BEGIN RETURN {expression}; END $f$"
    )


def go_live_with_explanation(db, expression="ARRAY[p_features[1], -2, 0.5]", **options):
    add_bars(db)
    go_live(db, body=SCORE, features=("rsi_14", "day_of_week"), card=GOLDEN, **options)
    add_function(db, "explain_toy", expression)


def test_the_log_holds_the_strongest_contributions(db):
    go_live_with_explanation(db)
    stored = insert_event(db)
    (logged,) = predictions(db)
    rsi, weekday = (stored["ml_features"][name] for name in ("rsi_14", "day_of_week"))
    assert logged["contributions"] == [
        {"rank": 1, "feature": "rsi_14", "value": rsi, "contribution": rsi, "method": "exact"},
        {"rank": 2, "feature": "day_of_week", "value": weekday, "contribution": -2, "method": "exact"},
    ]


def test_the_log_takes_the_path_where_the_model_has_one_and_explain_stays_exact(db):
    go_live_with_explanation(db)
    add_function(db, "attribute_toy", "ARRAY[0, 7, 1]")
    stored = insert_event(db)
    (logged,) = predictions(db)
    # A feature without a contribution has driven nothing.
    assert [(item["feature"], item["method"]) for item in logged["contributions"]] == [("day_of_week", "path")]
    explained = rows(db, "SELECT * FROM ml.explain(%s)", stored["id"])
    assert [row["method"] for row in explained] == ["exact", "exact"]


def test_a_model_without_an_exact_explanation_still_logs_its_path(db):
    add_bars(db)
    go_live(db, body=SCORE, features=("rsi_14", "day_of_week"), card=GOLDEN)
    add_function(db, "attribute_toy", "ARRAY[0.5, 7, 1]")
    stored = insert_event(db)
    (logged,) = predictions(db)
    assert [item["method"] for item in logged["contributions"]] == ["path", "path"]
    with pytest.raises(psycopg.errors.UndefinedFunction, match="cannot be explained"):
        db.execute("SELECT * FROM ml.explain(%s)", [stored["id"]])


def test_explain_ranks_all_features_and_adds_up(db):
    go_live_with_explanation(db, "ARRAY[1.5, -2, 0.5]")
    stored = insert_event(db)
    explained = rows(db, "SELECT * FROM ml.explain(%s)", stored["id"])
    assert [(row["rank"], row["feature"], row["contribution"], row["base_value"]) for row in explained] == [
        (1, "day_of_week", -2, 0.5),
        (2, "rsi_14", 1.5, 0.5),
    ]
    assert explained[1]["value"] == stored["ml_features"]["rsi_14"]


def test_explain_speaks_for_the_class_win(db):
    add_bars(db)
    go_live(db, classes=("win", "zero"), card={"golden_rows": [{"features": {}, "probabilities": [0.15, 0.85]}]})
    add_function(db, "explain_toy", "ARRAY[1, 2, 3]")
    stored = insert_event(db)
    explained = rows(db, "SELECT * FROM ml.explain(%s)", stored["id"])
    assert [row["contribution"] for row in explained] == [-2, -1]
    assert {row["base_value"] for row in explained} == {-3}
    install_model(db, "three", classes=("loss", "timeout", "win"))
    add_function(db, "explain_three", "ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9]")
    explained = rows(db, "SELECT * FROM ml.explain_features('three', ARRAY[0.1, 0.2])")
    assert [(row["contribution"], row["base_value"]) for row in explained] == [(8, 9), (7, 9)]


def test_explain_survives_the_event_and_the_log(db):
    go_live_with_explanation(db)
    stored = insert_event(db)
    first = rows(db, "SELECT * FROM ml.explain(%s)", stored["id"])
    db.execute("DELETE FROM ml_predictions")
    assert rows(db, "SELECT * FROM ml.explain(%s)", stored["id"]) == first
    later = insert_event(db)
    db.execute("DELETE FROM pattern_events WHERE id = %s", [later["id"]])
    assert len(rows(db, "SELECT * FROM ml.explain(%s)", later["id"])) == 2


@pytest.mark.parametrize("expression", ["ARRAY[1, 2, 3] / 0", "NULL", "ARRAY[NULL, NULL, NULL]"])
def test_an_explanation_that_fails_costs_neither_the_score_nor_its_log_row(db, expression):
    add_bars(db)
    go_live(db)
    db.execute(
        "CREATE FUNCTION ml_generated.explain_toy(p_features float8[]) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE"
        f" AS $f$ BEGIN RETURN {expression if '/' not in expression else 'ARRAY[1 / 0]'}; END $f$"
    )
    stored = insert_event(db)
    assert stored["model_version"] == "toy"
    (logged,) = predictions(db)
    assert logged["contributions"] is None
    assert logged["ml_confidence"] == stored["ml_confidence"]


def test_what_cannot_be_explained_is_said_in_one_sentence(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    (logged,) = predictions(db)
    assert logged["contributions"] is None
    with pytest.raises(psycopg.errors.UndefinedFunction, match="model toy cannot be explained"):
        db.execute("SELECT * FROM ml.explain(%s)", [stored["id"]])
    with pytest.raises(psycopg.errors.NoDataFound, match="has no score of a model to explain"):
        db.execute("SELECT * FROM ml.explain('00000000-0000-0000-0000-000000000000')")
    db.execute("SELECT ml.disable()")
    unscored = insert_event(db)
    with pytest.raises(psycopg.errors.NoDataFound, match="no score"):
        db.execute("SELECT * FROM ml.explain(%s)", [unscored["id"]])


def test_all_scores_of_a_period_are_explained_at_once(db):
    go_live_with_explanation(db)
    stored = [insert_event(db) for _ in range(3)]
    explained = rows(db, "SELECT * FROM ml.explain_predictions('-infinity')")
    assert {row["event_id"] for row in explained} == {row["id"] for row in stored}
    assert len(explained) == 6
    assert rows(db, "SELECT * FROM ml.explain_predictions(now() + interval '1 hour')") == []


def test_replay_gives_the_logged_score_after_event_bars_and_champion_are_gone(db):
    go_live_with_explanation(db)
    stored = insert_event(db)
    install_model(db, "next")
    db.execute("SELECT ml.promote('next', 'toy', 'test')")
    db.execute("UPDATE ml_settings SET ml_weight = 0.9")
    db.execute("DELETE FROM pattern_events")
    db.execute("DELETE FROM price_bars")
    (logged,) = predictions(db)
    replayed = value(db, "SELECT ml.replay(%s)", logged["id"])
    assert replayed["equal"] is True
    assert replayed["reason"] is None
    assert replayed["replayed"] == replayed["logged"]
    assert replayed["replayed"]["blended_confidence"] == stored["blended_confidence"]


def test_replay_tells_a_changed_score(db):
    go_live_with_explanation(db)
    insert_event(db)
    db.execute("UPDATE ml_predictions SET ml_confidence = ml_confidence + 1e-16 + 1e-16")
    (logged,) = predictions(db)
    assert value(db, "SELECT ml.replay(%s)", logged["id"])["equal"] is False


def test_replay_says_why_there_is_nothing_to_compare(db):
    add_bars(db)
    go_live(db)
    assert value(db, "SELECT ml.replay(gen_random_uuid())")["reason"] == "there is no such prediction in the log"
    db.execute("SELECT ml.disable()")
    insert_event(db)
    (logged,) = predictions(db)
    replayed = value(db, "SELECT ml.replay(%s)", logged["id"])
    assert (replayed["equal"], replayed["reason"]) == (None, "the row holds no score of a model")
    db.execute("SELECT ml.enable()")
    stored = insert_event(db)
    db.execute("DROP FUNCTION ml_generated.score_toy")
    prediction = event(db, stored["id"])["ml_metadata"]["scoring"]["prediction_id"]
    assert value(db, "SELECT ml.replay(%s)", prediction)["reason"] == "model toy is not installed in this database"


def test_the_released_model_explains_itself(db):
    add_bars(db)
    db.execute("SELECT ml.enable('test')")
    stored = insert_event(db)
    (logged,) = predictions(db)
    assert logged["model_version"].startswith("v")
    assert [item["rank"] for item in logged["contributions"]] == [1, 2, 3, 4, 5]
    explained = rows(db, "SELECT * FROM ml.explain(%s)", stored["id"])
    assert [row["feature"] for row in explained[:5]] == [item["feature"] for item in logged["contributions"]]
    raw_output = explained[0]["base_value"] + sum(row["contribution"] for row in explained)
    probability = stored["ml_confidence_raw"]
    assert abs(raw_output - math.log(probability / (1 - probability))) < 1e-9
    assert value(db, "SELECT ml.replay(%s)", logged["id"])["equal"] is True
