"""log_ml_prediction: what an application may log of its own scores, and what it is told of the rest."""

import psycopg
import pytest
from support import predictions

CALL = (
    "SELECT log_ml_prediction(%(pattern_id)s::uuid, %(model_version)s, %(predicted_value)s, %(confidence_score)s,"
    " %(rule_confidence)s, %(blended_confidence)s, NULL, NULL, %(latency_us)s)"
)
GOOD = {
    "pattern_id": "00000000-0000-0000-0000-000000000000", "model_version": "never seen", "predicted_value": -3.5,
    "confidence_score": 0.7, "rule_confidence": None, "blended_confidence": None, "latency_us": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pattern_id": None},
            "p_pattern_id is NULL: give the pattern that was scored, or 00000000-0000-0000-0000-000000000000",
        ),
        ({"model_version": None}, "p_model_version is NULL: give the version that scored, whatever it is called"),
        ({"confidence_score": None}, "p_confidence_score is NULL: give a number from 0 to 1"),
        ({"confidence_score": float("nan")}, "p_confidence_score is NaN: it must be from 0 to 1"),
        ({"confidence_score": 1.01}, "p_confidence_score is 1.01: it must be from 0 to 1"),
        ({"rule_confidence": -0.5}, "p_rule_confidence is -0.5: it must be from 0 to 1"),
        ({"blended_confidence": float("inf")}, "p_blended_confidence is Infinity: it must be from 0 to 1"),
        ({"latency_us": -1}, "p_latency_us is -1: it must be microseconds, 0 or more"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_nothing_is_logged(db, changes, message):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
        db.execute(CALL, GOOD | changes)
    assert refused.value.diag.message_primary == message
    assert predictions(db) == []


@pytest.mark.parametrize(
    "changes", [{}, {"confidence_score": 0, "rule_confidence": 1, "blended_confidence": 0, "latency_us": 0}]
)
def test_what_exists_nowhere_and_the_ends_of_the_ranges_are_taken(db, changes):
    (logged,) = db.execute(CALL, GOOD | changes).fetchone()
    (row,) = predictions(db)
    assert (row["id"], row["source"], row["model_version"]) == (logged, "external", "never seen")
