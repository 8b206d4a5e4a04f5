"""The pure functions of scoring against numpy, scikit-learn and Python."""

import hashlib
import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from support import rows, value

# A product that underflows is an error in Postgres, and as such a counted fallback; no model gives such numbers.
probabilities = st.just(0.0) | st.floats(1e-100, 1)
on_one_database = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_the_documented_blend(db):
    assert value(db, "SELECT ml.blend_confidence(0.85, 0.72, 0.6, 0.4)") == pytest.approx(0.798, abs=1e-15)


@on_one_database
@given(
    ml=st.floats(0, 1),
    rule=st.floats(0, 1) | st.just(5e-324),
    weights=st.tuples(st.floats(0.01, 100), st.just(0.0) | st.floats(0.01, 100)),
)
def test_the_blend_is_a_weighted_mean(db, ml, rule, weights):
    blended = value(
        db, "SELECT ml.blend_confidence(%s::float8, %s::float8, %s::float8, %s::float8)", ml, rule, *weights
    )
    assert blended == pytest.approx(np.average([ml, rule], weights=weights), abs=1e-15)
    assert min(ml, rule) - 1e-15 <= blended <= max(ml, rule) + 1e-15


def test_a_null_score_blends_to_the_rule(db):
    assert value(db, "SELECT ml.blend_confidence(NULL, 0.72, 0.6, 0.4)") == 0.72


@on_one_database
@given(raw=probabilities, a=st.floats(-50, -1e-6) | st.floats(1e-6, 50), b=st.floats(-1000, 1000))
def test_sigmoid_calibration(db, raw, a, b):
    calibrated = value(db, "SELECT ml.calibrate(%s::float8, 'sigmoid', %s::float8, %s::float8, NULL, NULL)", raw, a, b)
    assert calibrated == pytest.approx(expit(-(a * raw + b)), abs=1e-15)


@on_one_database
@given(seed=st.integers(0, 10**6), size=st.integers(2, 200))
def test_isotonic_calibration_is_bit_equal_to_scikit_learn(db, seed, size):
    generator = np.random.default_rng(seed)
    scores = generator.random(size)
    outcomes = generator.random(size) < scores
    model = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1).fit(scores, outcomes)
    asked = np.concatenate([scores, generator.random(50), [0.0, 1.0], model.X_thresholds_])
    actual = [
        row["calibrated"]
        for row in rows(
            db,
            "SELECT ml.calibrate(asked.raw, 'isotonic', NULL, NULL, %s, %s) AS calibrated"
            " FROM unnest(%s::float8[]) WITH ORDINALITY AS asked (raw, place) ORDER BY place",
            model.X_thresholds_.tolist(),
            model.y_thresholds_.tolist(),
            asked.tolist(),
        )
    ]
    assert actual == model.predict(asked).tolist()


def test_no_calibrator_is_the_identity(db):
    assert value(db, "SELECT ml.calibrate(0.3, NULL, NULL, NULL, NULL, NULL)") == 0.3
    assert value(db, "SELECT ml.calibrate(0.3, 'identity', NULL, NULL, NULL, NULL)") == 0.3


def bucket(salt, identifier):
    digest = hashlib.sha256(salt.encode() + identifier.bytes).hexdigest()
    return int(digest[:15], 16) / 16**15


def test_rollout_buckets_equal_python_and_are_uniform(db):
    found = rows(
        db,
        "SELECT id, ml.rollout_bucket('pattern-confidence', id) AS a, ml.rollout_bucket('ä', id) AS b"
        " FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 10000)) AS ids",
    )
    assert all(row["a"] == bucket("pattern-confidence", row["id"]) for row in found)
    assert all(row["b"] == bucket("ä", row["id"]) for row in found)
    first, second = (np.array([row[salt] for row in found]) for salt in "ab")
    counts = np.histogram(first, bins=20, range=(0, 1))[0]
    assert ((counts - 500) ** 2 / 500).sum() < 45.3  # chi-square, 19 degrees of freedom, p = 0.0006
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    assert 0 <= first.min() < first.max() < 1


def test_buckets_of_sequential_ids(db):
    assert value(db, "SELECT ml.rollout_bucket('s', %s)", uuid.UUID(int=1)) == bucket("s", uuid.UUID(int=1))
