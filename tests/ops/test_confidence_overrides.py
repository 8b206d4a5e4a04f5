"""An analyst's override of a confidence: recorded, shown beside the model's score, never in its place."""

from typing import Any

import psycopg
import pytest
from support import PROBABILITY, add_bars, event, go_live, insert_event, one, rows, value


@pytest.fixture
def scored(db: psycopg.Connection[Any]) -> Any:
    add_bars(db)
    go_live(db)
    return insert_event(db)["id"]


def override(
    db: psycopg.Connection[Any], event_id: Any, confidence: float | None, reason: str = "news", by: Any = None
):
    return value(db, "SELECT ml.override_confidence(%s, %s, %s, %s)", event_id, confidence, reason, by)


def shown(db: psycopg.Connection[Any], event_id: Any) -> dict[str, Any]:
    return value(db, "SELECT ml_pattern_confidence(%s)", event_id)


def test_an_override_stands_beside_the_score(db: psycopg.Connection[Any], scored: Any) -> None:
    before = event(db, scored), rows(db, "SELECT * FROM ml_predictions"), rows(db, "SELECT * FROM confirmed_patterns")
    plain = shown(db, scored)
    assert (plain["override"], plain["effective_confidence"]) == (None, plain["blended_confidence"])
    said = override(db, scored, 0.2, "earnings tonight", "ann")
    assert (said["confidence"], said["overridden_by"], said["model_version"]) == (0.2, "ann", "toy")
    now = shown(db, scored)
    assert (now["override"]["confidence"], now["override"]["by"], now["override"]["reason"]) == (
        0.2,
        "ann",
        "earnings tonight",
    )
    assert (now["effective_confidence"], now["override"]["confirmed"], now["confirmed"]) == (0.2, False, True)
    assert now["ml_confidence"] == PROBABILITY
    added = ("override", "effective_confidence")
    assert {k: v for k, v in now.items() if k not in added} == {k: v for k, v in plain.items() if k not in added}
    after = event(db, scored), rows(db, "SELECT * FROM ml_predictions"), rows(db, "SELECT * FROM confirmed_patterns")
    assert after == before
    listed = one(db, "SELECT * FROM overridden_patterns")
    assert (listed["id"], listed["override_confidence"], listed["confirmed"], listed["confirmed_by_override"]) == (
        scored,
        0.2,
        True,
        False,
    )


def test_the_newest_override_holds_and_can_be_withdrawn(db: psycopg.Connection[Any], scored: Any) -> None:
    override(db, scored, 0.2, by="ann")
    override(db, scored, 0.9, by=" ")
    assert shown(db, scored)["override"]["confidence"] == 0.9
    said = value(db, "SELECT ml.withdraw_override(%s, 'no news after all', 'bob')", scored)
    assert said["withdrawn"] == 0.9
    assert said["blended_confidence"] == event(db, scored)["blended_confidence"]
    assert shown(db, scored)["override"] is None
    assert rows(db, "SELECT * FROM overridden_patterns") == []
    with pytest.raises(psycopg.errors.NoDataFound, match="nothing to withdraw"):
        db.execute("SELECT ml.withdraw_override(%s, 'again')", [scored])
    me = value(db, "SELECT session_user::text")
    history = rows(db, "SELECT * FROM confidence_overrides ORDER BY id")
    assert [(r["confidence"], r["overridden_by"], r["recorded_by"], r["model_version"]) for r in history] == [
        (0.2, "ann", me, "toy"),
        (0.9, me, me, "toy"),
        (None, "bob", me, "toy"),
    ]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="confidence_overrides are never changed"):
        db.execute("UPDATE confidence_overrides SET confidence = 1")
    assert override(db, scored, 0)["confidence"] == 0
    assert shown(db, scored)["effective_confidence"] == 0


def test_wrong_overrides_are_refused(db: psycopg.Connection[Any], scored: Any) -> None:
    nowhere = "00000000-0000-0000-0000-000000000000"
    for event_id, confidence, reason, message in (
        (scored, 1.5, "x", r"p_confidence is 1\.5: it must be 0 to 1"),
        (scored, -0.1, "x", r"p_confidence is -0\.1"),
        (scored, float("nan"), "x", "p_confidence is NaN"),
        (scored, None, "x", "p_confidence is null"),
        (scored, 0.5, " ", "p_reason is empty"),
        (nowhere, 0.5, "x", "there is no event 0000"),
    ):
        with pytest.raises(psycopg.Error, match=message):
            override(db, event_id, confidence, reason)
    with pytest.raises(psycopg.Error, match="p_reason is empty"):
        db.execute("SELECT ml.withdraw_override(%s, '')", [scored])
    assert rows(db, "SELECT * FROM confidence_overrides") == []


def test_an_event_that_is_not_scored_can_be_overridden(db: psycopg.Connection[Any]) -> None:
    event_id = insert_event(db, rule_confidence=float("nan"))["id"]
    override(db, event_id, 0.7)
    now = shown(db, event_id)
    assert (now["blended_confidence"], now["effective_confidence"]) == (None, 0.7)


def test_the_standing_labels_are_shown_by_definition(db: psycopg.Connection[Any], scored: Any) -> None:
    add_bars(db, count=300, seed=1, symbol="OTHER")
    other = insert_event(db, symbol="OTHER", detected_at="2024-06-01")["id"]
    for name in ("TB2", "D1", "RX"):
        db.execute("SELECT ml.label_outcomes(%s)", [name])
    db.execute("SELECT ml.set_label(%s, 'loss', 'slippage', 'ann')", [other])
    now = shown(db, other)
    assert sorted(now["labels"]) == ["D1", "RX", "TB2", "analyst"]
    assert (now["labels"]["analyst"]["label"], now["labels"]["analyst"]["labelled_by"]) == ("loss", "ann")
    assert now["labels"]["TB2"]["bars"] >= 1
    assert now["outcome"]["source"] == "analyst"
    assert shown(db, "00000000-0000-0000-0000-000000000000")["labels"] == {}
