"""What recalibration computes with, against scikit-learn, numpy and the trainer's own metrics."""

import time
from datetime import date, timedelta

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV, _sigmoid_calibration
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from support import one, value

from trainer.calibration import fit_calibrator
from trainer.evaluation.bootstrap import Resamples
from trainer.metrics import clustered_mean

PROPERTY = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
PROBABILITY = st.floats(0, 1, allow_subnormal=False)
# Few different values make ties; neighbours of a float make points closer than scikit-learn tells apart.
CROWDED = st.sampled_from([0.0, 1e-300, 0.1, 0.3, 0.3 + 1e-16, np.nextafter(0.3, 1), 0.3 + 2e-15, 0.5, 1.0])
SAMPLE = st.lists(st.tuples(st.one_of(CROWDED, PROBABILITY), st.booleans()), min_size=1, max_size=60)


def isotonic(db, x, y, low=None, high=None):
    """Return the knots."""
    found = one(db, "SELECT * FROM ml.fit_isotonic(%s::float8[], %s::float8[], %s, %s)", list(x), list(y), low, high)
    return np.array(found["knots_x"]), np.array(found["knots_y"])


def sigmoid(db, x, is_win):
    found = one(db, "SELECT * FROM ml.fit_sigmoid(%s::float8[], %s::boolean[])", list(x), [bool(w) for w in is_win])
    return found["a"], found["b"]


def probabilities(a, b, x):
    return 1 / (1 + np.exp(a * np.asarray(x) + b))


def platt_loss(a, b, x, is_win):
    """Platt's loss against his smoothed targets."""
    x, is_win = np.asarray(x), np.asarray(is_win)
    wins, rest = is_win.sum(), (~is_win).sum()
    target = np.where(is_win, (wins + 1) / (wins + 2), 1 / (rest + 2))
    margin = -(a * x + b)
    return float(np.sum(np.logaddexp(0, margin) - target * margin))


def months(count):
    return [date(2020 + month // 12, 1 + month % 12, 1) for month in count]


@PROPERTY
@example([(0.3, True)], (0.0, 1.0))
@example([(0.3, False), (0.3, True)], (0.0, 1.0))
@example([(0.1, True), (0.9, False)], (0.0, 1.0))
@example([(0.1, False), (0.9, True)], (0.25, 0.5))
@given(SAMPLE, st.sampled_from([(None, None), (0.0, 1.0), (0.25, 0.75), (None, 0.5)]))
def test_isotonic_equals_scikit_learn(db, sample, bounds):
    x, y = np.array([s[0] for s in sample]), np.array([float(s[1]) for s in sample])
    low, high = bounds
    oracle = IsotonicRegression(y_min=low, y_max=high, out_of_bounds="clip").fit(x, y)
    knots_x, knots_y = isotonic(db, x, y, low, high)
    assert np.all(np.diff(knots_x) > 0)
    assert np.all(np.diff(knots_y) >= 0)
    np.testing.assert_array_equal(knots_x, oracle.X_thresholds_)
    np.testing.assert_allclose(knots_y, oracle.y_thresholds_, rtol=0, atol=1e-12)
    asked = np.concatenate([x, np.linspace(0, 1, 23)])
    predicted = value(
        db,
        "SELECT array_agg(ml.calibrate(x, 'isotonic', NULL, NULL, %s, %s) ORDER BY place)"
        " FROM unnest(%s::float8[]) WITH ORDINALITY AS asked (x, place)",
        knots_x.tolist(),
        knots_y.tolist(),
        asked.tolist(),
    )
    np.testing.assert_allclose(predicted, oracle.predict(asked), rtol=0, atol=1e-12)


@PROPERTY
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=40))
def test_isotonic_of_any_numbers_equals_scikit_learn(db, sample):
    x, y = np.array([s[0] for s in sample]), np.array([s[1] for s in sample])
    knots_x, knots_y = isotonic(db, x, y)
    expected = IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(x)
    np.testing.assert_allclose(np.interp(x, knots_x, knots_y), expected, rtol=1e-12, atol=1e-12 * np.abs(y).max())


@PROPERTY
@example([(0.3, True)])
@example([(0.2, True), (0.7, True)])
@example([(0.2, False), (0.2, True)])
@example([(0.3, False), (0.3 + 1e-12, True)])
@given(SAMPLE)
def test_sigmoid_is_at_least_as_good_as_scikit_learn(db, sample):
    x, is_win = np.array([s[0] for s in sample]), np.array([s[1] for s in sample])
    a, b = sigmoid(db, x, is_win)
    ours, theirs = platt_loss(a, b, x, is_win), platt_loss(*_sigmoid_calibration(x, is_win.astype(float)), x, is_win)
    assert ours <= theirs + 1e-12 * max(1.0, abs(theirs))
    # Smoothed targets always have an interior optimum: the gradient is zero there, to the digits of a * x + b.
    wins, rest = is_win.sum(), (~is_win).sum()
    error = probabilities(a, b, x) - np.where(is_win, (wins + 1) / (wins + 2), 1 / (rest + 2))
    tolerance = (1e-9 + 1e-15 * abs(a)) * len(x)
    assert abs(error.sum()) < tolerance
    if np.std(x) > 2e-9 * np.abs(x).max():
        assert abs((x - x.mean()) / np.std(x) @ error) < tolerance


@pytest.mark.parametrize("rows", [50, 400, 5000])
def test_sigmoid_gives_the_probabilities_of_scikit_learn(db, rows):
    random = np.random.default_rng(rows)
    features = random.normal(size=(rows, 2))
    y = random.random(rows) < 1 / (1 + np.exp(-features[:, 0]))
    model = LogisticRegression(C=0.01).fit(features[:200], y[:200])
    oracle = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid").fit(features, y)
    score = model.decision_function(features)
    a, b = sigmoid(db, score, y)
    # L-BFGS stops when the gradient is below 1e-6 or the loss falls no more: that is the difference seen.
    np.testing.assert_allclose(probabilities(a, b, score), oracle.predict_proba(features)[:, 1], rtol=0, atol=2e-6)
    # The trainer's own fit is Newton's as well.
    trained = fit_calibrator("sigmoid", score, y)
    np.testing.assert_allclose(probabilities(a, b, score), trained(score), rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4, 1e12])
def test_sigmoid_does_not_depend_on_the_unit(db, scale):
    random = np.random.default_rng(3)
    x = random.normal(size=300)
    y = random.random(300) < 1 / (1 + np.exp(-2 * x))
    expected = probabilities(*sigmoid(db, x, y), x)
    a, b = sigmoid(db, scale * x, y)
    np.testing.assert_allclose(probabilities(a, b, scale * x), expected, rtol=0, atol=1e-10)


def test_outcomes_of_one_kind_give_one_probability(db):
    for outcome in (True, False):
        a, b = sigmoid(db, [0.2, 0.4, 0.6], [outcome] * 3)
        np.testing.assert_allclose(probabilities(a, b, [0.0, 1.0]), 4 / 5 if outcome else 1 / 5, atol=1e-9)
        _, knots_y = isotonic(db, [0.2, 0.4, 0.6], [float(outcome)] * 3)
        assert set(knots_y) == {float(outcome)}


@pytest.mark.parametrize(
    ("x", "y"), [([], []), ([0.5], []), ([0.5, None], [1.0, 0.0]), ([0.5, float("nan")], [1.0, 0.0]), (None, None)]
)
def test_bad_input_is_refused_with_a_sentence(db, x, y):
    wins = None if y is None else [bool(v) for v in y]
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_x"):
        db.execute("SELECT ml.fit_isotonic(%s::float8[], %s::float8[])", (x, y))
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_x"):
        db.execute("SELECT ml.fit_sigmoid(%s::float8[], %s::boolean[])", (x, wins))
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="unknown calibration method spline"):
        db.execute("SELECT ml.fit_calibrator('spline', ARRAY[0.5], ARRAY[true])")


def test_a_registered_isotonic_calibrator_never_says_never(db):
    fitted = one(
        db,
        "SELECT * FROM ml.fit_calibrator('isotonic', ARRAY[0.1, 0.2, 0.3, 0.4], ARRAY[false, false, true, true])",
    )
    assert fitted["knots_y"] == pytest.approx([1 / 6, 1 / 6, 5 / 6, 5 / 6])


def test_a_hundred_thousand_rows_take_seconds(db):
    random = np.random.default_rng(1)
    x = random.beta(4, 9, 100_000)
    y = random.random(100_000) < x
    db.execute("CREATE TEMP TABLE sample (x float8, y boolean)")
    with db.cursor() as cursor, cursor.copy("COPY sample FROM STDIN") as copy:
        for row in zip(x.tolist(), y.tolist(), strict=True):
            copy.write_row(row)
    # One thread of one core each; ten times what an idle machine needs.
    started = time.monotonic()
    knots = one(
        db,
        "SELECT fit.* FROM (SELECT array_agg(x) AS x, array_agg(y::integer::float8) AS y FROM sample) AS s, ml.fit_isotonic(s.x, s.y) AS fit",
    )
    assert time.monotonic() - started < 15
    oracle = IsotonicRegression(out_of_bounds="clip").fit(x, y.astype(float))
    np.testing.assert_allclose(np.interp(x, knots["knots_x"], knots["knots_y"]), oracle.predict(x), rtol=0, atol=1e-12)
    started = time.monotonic()
    fitted = one(
        db,
        "SELECT fit.* FROM (SELECT array_agg(x) AS x, array_agg(y) AS y FROM sample) AS s, ml.fit_sigmoid(s.x, s.y) AS fit",
    )
    assert time.monotonic() - started < 25
    theirs = _sigmoid_calibration(x, y.astype(float))
    np.testing.assert_allclose(probabilities(fitted["a"], fitted["b"], x), probabilities(*theirs, x), rtol=0, atol=1e-6)


@PROPERTY
@given(st.lists(st.tuples(PROBABILITY, st.booleans(), st.integers(0, 5)), min_size=1, max_size=50))
def test_figures_equal_their_oracles(db, sample):
    p, y = np.array([s[0] for s in sample]), np.array([s[1] for s in sample])
    spans = np.array([s[2] for s in sample])
    arguments = (p.tolist(), y.tolist(), months(spans))
    found = value(db, "SELECT ml.measure_calibration(%s::float8[], %s::boolean[], %s::date[], 20)", *arguments)
    assert (found["rows"], found["wins"], found["spans"]) == (len(p), y.sum(), len(set(spans)))
    ece = Resamples.of_spans(spans.astype(np.int64), resamples=1).calibration_error(p, y)[0]
    assert found["ece"]["value"] == pytest.approx(ece, abs=1e-12)
    assert found["brier"]["value"] == pytest.approx(brier_score_loss(y, p, pos_label=True), abs=1e-12)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    assert found["log_loss"]["value"] == pytest.approx(log_loss(y, clipped, labels=[False, True]), rel=1e-9, abs=1e-12)
    for name in ("ece", "brier", "log_loss"):
        assert (found[name]["low"] is None) == (len(set(spans)) == 1)

    gap = p - y
    mean = one(db, "SELECT * FROM ml.clustered_mean(%s::float8[], %s::date[])", gap.tolist(), months(spans))
    expected = clustered_mean(gap, spans.astype(np.int64))
    assert (mean["mean"], mean["standard_error"]) == pytest.approx(expected, abs=1e-12)

    area = one(db, "SELECT * FROM ml.area_under_roc(%s::float8[], %s::boolean[], %s::date[])", *arguments)
    if y.all() or not y.any():
        assert area["auc"] is None
    else:
        assert area["auc"] == pytest.approx(roc_auc_score(y, p), abs=1e-12)


def test_the_error_of_an_area_is_delongs_when_every_event_is_its_own_span(db):
    random = np.random.default_rng(5)
    y = random.random(300) < 0.4
    score = random.normal(size=300) + y
    found = one(
        db,
        "SELECT * FROM ml.area_under_roc(%s::float8[], %s::boolean[], %s::date[])",
        score.tolist(),
        y.tolist(),
        [date(2020, 1, 1) + timedelta(days=day) for day in range(300)],
    )
    above = (score[y][:, None] > score[~y][None, :]).astype(float)
    delong = np.sqrt(above.mean(axis=1).var(ddof=1) / y.sum() + above.mean(axis=0).var(ddof=1) / (~y).sum())
    # One correction for all events here, one for each class there.
    assert found["standard_error"] == pytest.approx(delong, rel=0.01)


def test_bootstrap_draws_are_draws_with_replacement(db):
    drawn = db.execute("SELECT resample, span, times FROM ml.resampled_spans(30, 2000)").fetchall()
    counts = np.zeros((2000, 30))
    for resample, span, times in drawn:
        counts[resample - 1, span - 1] += times
    assert (counts.sum(axis=1) == 30).all()
    # Multinomial: every span once on average, with variance 29/30.
    assert np.abs(counts.mean(axis=0) - 1).max() < 4 * np.sqrt(29 / 30 / 2000)
    assert counts.var() == pytest.approx(29 / 30, rel=0.03)
    assert drawn == db.execute("SELECT resample, span, times FROM ml.resampled_spans(30, 2000)").fetchall()


def test_intervals_are_those_of_the_trainers_bootstrap(db):
    random = np.random.default_rng(6)
    spans = np.sort(random.integers(0, 40, 2000))
    p = np.clip(random.beta(5, 9, 2000), 0, 1)
    y = random.random(2000) < np.clip(p * 0.8 + random.normal(0, 0.1, 40)[spans], 0, 1)
    found = value(
        db,
        "SELECT ml.measure_calibration(%s::float8[], %s::boolean[], %s::date[], 2000)",
        p.tolist(),
        y.tolist(),
        months(spans),
    )
    resamples = Resamples.of_spans(spans.astype(np.int64), resamples=2000)
    for name, values in (("ece", resamples.calibration_error(p, y)), ("brier", resamples.mean((p - y) ** 2))):
        low, high = np.quantile(values[1:], [0.025, 0.975])
        width = high - low
        assert found[name]["low"] == pytest.approx(low, abs=0.1 * width)
        assert found[name]["high"] == pytest.approx(high, abs=0.1 * width)
