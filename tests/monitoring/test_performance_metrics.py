"""Metrics of performance in SQL against scikit-learn and NannyML."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from performance_samples import drawn
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint
from support import one, rows, value

on_one_database = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
hostile = settings(parent=on_one_database, max_examples=100)

GOLDEN = Path(__file__).parent / "golden" / "performance_nannyml.json.gz"
CLIP = 1e-15  # as ml.log_loss, and trainer.metrics, have it

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 200)
shares = st.floats(0, 1)
thresholds = st.sampled_from([0.0, 0.3, 0.55, 1.0]) | shares
grids = st.sampled_from([0, 0, 4, 25])


def sample(seed, size, share, grid):
    """Return scores, on a grid of some values if there are to be ties, and outcomes that go with them."""
    generator = np.random.default_rng(seed)
    scores = generator.random(size)
    if grid:
        scores = np.round(scores * grid) / grid
    return scores, generator.random(size) < (share + scores) / 2


def measure(db, scores, is_win, threshold=0.5, chosen=None, level=0.95):
    """Call ml.classification_metrics and return its rows by metric."""
    found = rows(
        db,
        "SELECT * FROM ml.classification_metrics(%s::float8[], %s::boolean[], %s, %s::text[], %s)",
        list(map(float, scores)),
        [None if win is None else bool(win) for win in is_win],
        threshold,
        chosen,
        level,
    )
    return {row["metric"]: row for row in found}


def assert_close(actual, expected, tolerance=1e-12):
    """Compare two numbers, or NULL with None or NaN."""
    if expected is None or math.isnan(expected):
        assert actual is None
    else:
        assert actual is not None
        assert abs(actual - expected) <= tolerance * max(1, abs(expected)), (actual, expected)


@on_one_database
@given(seeds, sizes, shares, grids, thresholds)
def test_decisions_equal_scikit_learn(db, seed, size, share, grid, threshold):
    scores, is_win = sample(seed, size, share, grid)
    found = measure(db, scores, is_win, threshold)
    predicted = scores >= threshold
    negative, false_positive, false_negative, positive = metrics.confusion_matrix(
        is_win, predicted, labels=[False, True]
    ).ravel()
    counts = [
        found[name]["value"] for name in ("true_negatives", "false_positives", "false_negatives", "true_positives")
    ]
    assert counts == [negative, false_positive, false_negative, positive]
    expected = {
        "accuracy": metrics.accuracy_score(is_win, predicted),
        "precision": metrics.precision_score(is_win, predicted, zero_division=np.nan),
        "recall": metrics.recall_score(is_win, predicted, zero_division=np.nan),
        "f1": metrics.f1_score(is_win, predicted, zero_division=np.nan),
        "false_positive_rate": false_positive / (~is_win).sum() if not is_win.all() else math.nan,
        "false_negative_rate": false_negative / is_win.sum() if is_win.any() else math.nan,
    }
    for name, number in expected.items():
        assert_close(found.get(name, {"value": None})["value"], number)


@on_one_database
@given(seeds, sizes, shares, grids)
def test_rankings_and_losses_equal_scikit_learn(db, seed, size, share, grid):
    scores, is_win = sample(seed, size, share, grid)
    found = measure(db, scores, is_win)
    both = 0 < is_win.sum() < size
    assert ("roc_auc" in found) == both
    if both:
        assert_close(found["roc_auc"]["value"], metrics.roc_auc_score(is_win, scores))
    assert ("average_precision" in found) == bool(is_win.any())
    if is_win.any():
        assert_close(found["average_precision"]["value"], metrics.average_precision_score(is_win, scores))
    assert_close(found["brier"]["value"], metrics.brier_score_loss(is_win, scores, pos_label=True))
    clipped = np.clip(scores, CLIP, 1 - CLIP)
    assert_close(found["log_loss"]["value"], metrics.log_loss(is_win, clipped, labels=[False, True]))


def expected_calibration_error(scores, is_win, bins):
    """Return the calibration error from the bins of scikit-learn, which are closed on the right: for scores off the edges."""
    true, predicted = calibration_curve(is_win, scores, n_bins=bins)
    counts = np.histogram(scores, np.linspace(0, 1, bins + 1))[0]
    return float(np.sum(counts[counts > 0] / len(scores) * np.abs(true - predicted)))


@on_one_database
@given(seeds, sizes, shares, st.integers(1, 30))
def test_calibration_error_of_bins_of_equal_width(db, seed, size, share, bins):
    scores, is_win = sample(seed, size, share, 0)
    found = one(
        db,
        "SELECT * FROM ml.expected_calibration_error(%s::float8[], %s::boolean[], %s)",
        scores.tolist(),
        is_win.tolist(),
        bins,
    )
    assert_close(found["value"], expected_calibration_error(scores, is_win, bins))


def test_bins_are_closed_on_the_left_and_the_last_on_both_sides(db):
    found = rows(db, "SELECT * FROM ml.calibration_bins('{0, 0.5, 0.5, 1}', '{f, t, f, t}', 2)")
    assert [(row["bin"], row["lower_edge"], row["upper_edge"], row["events"], row["wins"]) for row in found] == [
        (0, 0.0, 0.5, 1, 0),
        (1, 0.5, 1.0, 3, 2),
    ]


@hostile
@given(seeds, sizes, shares, st.integers(1, 15))
@example(0, 119, 0.5, 10)
def test_bins_of_equal_width_and_count_hold_every_event_once(db, seed, size, share, bins):
    scores, is_win = sample(seed, size, share, 0)
    for method in ("equal_width", "equal_count"):
        found = rows(
            db,
            "SELECT * FROM ml.calibration_bins(%s::float8[], %s::boolean[], %s, %s)",
            scores.tolist(),
            is_win.tolist(),
            bins,
            method,
        )
        assert sum(row["events"] for row in found) == size
        assert sum(row["wins"] for row in found) == is_win.sum()
        for row in found:
            inside = (scores >= row["lower_edge"]) & (scores <= row["upper_edge"])
            assert row["events"] == inside.sum()
            assert_close(row["mean_probability"], scores[inside].mean())
            assert_close(row["win_rate"], is_win[inside].mean())
            low, high = proportion_confint(is_win[inside].sum(), inside.sum(), method="wilson")
            assert_close(row["low"], low)
            assert_close(row["high"], high)


@hostile
@given(seeds, st.integers(2, 200), shares, thresholds, st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_of_shares_are_wilsons(db, seed, size, share, threshold, level):
    scores, is_win = sample(seed, size, share, 25)
    found = measure(db, scores, is_win, threshold, level=level)
    predicted = scores >= threshold
    both = int((predicted & is_win).sum())
    parts = {
        "accuracy": (int((predicted == is_win).sum()), size),
        "precision": (both, int(predicted.sum())),
        "recall": (both, int(is_win.sum())),
        "f1": (both, int((predicted | is_win).sum())),
        "false_positive_rate": (int((predicted & ~is_win).sum()), int((~is_win).sum())),
        "false_negative_rate": (int((~predicted & is_win).sum()), int(is_win.sum())),
    }
    for name, (successes, trials) in parts.items():
        if not trials:
            assert name not in found
            continue
        row = found[name]
        low, high = proportion_confint(successes, trials, alpha=1 - level, method="wilson")
        error = math.sqrt(successes / trials * (1 - successes / trials) / trials)
        if name == "f1":
            low, high = (2 * end / (1 + end) for end in (low, high))
            error *= 2 / (1 + successes / trials) ** 2
        assert row["n"] == trials
        assert_close(row["low"], low)
        assert_close(row["high"], high)
        assert_close(row["standard_error"], error)
        assert row["low"] - 1e-15 <= row["value"] <= row["high"] + 1e-15


@hostile
@given(seeds, st.integers(2, 200), shares, grids)
def test_errors_of_losses_and_of_average_precision(db, seed, size, share, grid):
    scores, is_win = sample(seed, size, share, grid)
    found = measure(db, scores, is_win)
    clipped = np.clip(scores, CLIP, 1 - CLIP)
    for name, loss in (
        ("brier", (scores - is_win) ** 2),
        ("log_loss", -np.log(np.where(is_win, clipped, 1 - clipped))),
    ):
        error = loss.std(ddof=1) / math.sqrt(size)
        assert_close(found[name]["standard_error"], error, 1e-10)
        assert_close(found[name]["high"], loss.mean() + 1.959963984540054 * error, 1e-10)
    if is_win.any():
        row = found["average_precision"]
        area, wins = row["value"], int(is_win.sum())
        assert_close(row["standard_error"], math.sqrt(max(area * (1 - area), 0) / wins))
        if area < 1:
            odds = math.log(area / (1 - area))
            half = 1.959963984540054 / math.sqrt(wins * area * (1 - area))
            # Boyd, Eng and Page (2013), section 4.3.
            assert_close(row["low"], 1 / (1 + math.exp(-(odds - half))), 1e-10)
            assert_close(row["high"], 1 / (1 + math.exp(-(odds + half))), 1e-10)


def test_the_interval_of_the_calibration_error_leaves_out_chance(db):
    """Of 400 samples of right probabilities hardly any has a lower end above 0.05, and its value is what chance gives."""
    generator = np.random.default_rng(5)
    values, lows, by_chance = [], [], []
    for _ in range(400):
        scores = generator.beta(3, 5, 200)
        row = measure(db, scores, generator.random(200) < scores, chosen=["ece"])["ece"]
        values.append(row["value"])
        lows.append(row["low"])
        by_chance.append(row["by_chance"])
    assert np.mean(values) == pytest.approx(np.mean(by_chance), rel=0.1)
    assert np.mean(np.array(lows) > 0.05) == 0
    wrong = generator.beta(3, 5, 1000)
    row = measure(db, wrong, generator.random(1000) < np.minimum(wrong + 0.2, 1), chosen=["ece"])["ece"]
    assert row["low"] > 0.1
    assert row["high"] > row["value"]


@hostile
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats() | st.sampled_from([0.0, 1.0, 5e-324, 1e-200, 0.5, -0.1, 1.5]),
            st.none() | st.booleans(),
        ),
        max_size=30,
    ),
    st.none() | shares,
)
@example([], 0.5)
@example([(0.5, True)], 0.5)
@example([(math.nan, True), (math.inf, False)], 0.5)
@example([(5e-324, True), (1.0, False)], 0.5)
@example([(1.0, True), (5e-324, False)], None)
@example([(0.0, True), (5e-324, False)], None)
def test_whatever_comes_gives_rows_of_the_valid_events(db, cases, threshold):
    valid = [(score, win) for score, win in cases if score is not None and win is not None and 0 <= score <= 1]

    def figures(given_cases):
        found = rows(
            db,
            "SELECT * FROM ml.classification_metrics(%s::float8[], %s::boolean[], %s)",
            [score for score, _ in given_cases],
            [win for _, win in given_cases],
            threshold,
        )
        return {row["metric"]: row["value"] for row in found}

    found = figures(cases)
    assert found == pytest.approx(figures(valid), rel=1e-12)
    assert ("accuracy" in found) == (bool(valid) and threshold is not None)
    assert ("brier" in found) == bool(valid)
    assert all(number is not None and math.isfinite(number) for number in found.values())
    estimated = rows(
        db,
        "SELECT * FROM ml.estimated_metrics(%s::float8[], %s::boolean[], %s::float8[])",
        [score for score, _ in cases],
        [win for _, win in cases],
        [score for score, _ in cases],
    )
    assert all(-1e-12 <= row["value"] <= 1 + 1e-12 for row in estimated)
    scattered = rows(
        db,
        "SELECT * FROM ml.sampling_deviations(%s::float8[], %s::boolean[], %s::boolean[])",
        [score for score, _ in cases],
        [win for _, win in cases],
        [win for _, win in cases],
    )
    assert all(row["deviation"] >= 0 for row in scattered)


@pytest.mark.parametrize(("bins", "method"), [(0, "equal_width"), (None, "equal_width"), (10, "quantile"), (10, None)])
def test_bins_that_do_not_exist_are_refused_by_name(db, bins, method):
    with pytest.raises(Exception, match=r"p_bins is|p_method is"):
        db.execute("SELECT * FROM ml.calibration_bins('{0.5}', '{t}', %s, %s)", (bins, method))


# ------------------------------------------------------------------------------------------------------- NannyML


def golden():
    """Return the record of what NannyML found: its versions, and the expected figures of each data set."""
    return json.loads(gzip.decompress(GOLDEN.read_bytes()))


def test_estimates_bands_and_calibration_errors_equal_nannyml(db):
    """1,000 data sets, drawn anew from their seeds; what is 0 / 0 there is 0 or NaN, and no row here."""
    record = golden()
    assert record["nannyml"] == "0.13.1"
    assert len(record["expected"]) == 1000
    for seed, expected in enumerate(record["expected"]):
        data = drawn(seed)
        assert data["checksum"] == expected["checksum"], "the generator draws other numbers than it did"
        reference, later = data["reference"], data["later"]
        estimated = {
            row["metric"]: row["value"]
            for row in rows(
                db,
                "SELECT * FROM ml.estimated_metrics(%s::float8[], %s::boolean[], %s::float8[])",
                later["probability"].tolist(),
                later["predicted"].tolist(),
                later["score"].tolist(),
            )
        }
        deviation = {
            row["metric"]: row["deviation"]
            for row in rows(
                db,
                "SELECT * FROM ml.sampling_deviations(%s::float8[], %s::boolean[], %s::boolean[])",
                reference["score"].tolist(),
                reference["predicted"].tolist(),
                reference["is_win"].tolist(),
            )
        }
        for name, number in expected["estimated"].items():
            if name not in estimated:
                assert number in (None, 0), (seed, name, number)
            else:
                assert abs(estimated[name] - number) <= 1e-12, (seed, name)
        size = math.sqrt(len(later["score"]))
        for name, number in expected["sampling_error"].items():
            if number is None:
                assert name not in deviation, (seed, name)
            else:
                assert abs(deviation[name] / size - number) <= 1e-12 * max(1, number), (seed, name)
        error = value(
            db,
            "SELECT value FROM ml.expected_calibration_error(%s::float8[], %s::boolean[], 10, 'equal_count')",
            reference["score"].tolist(),
            reference["is_win"].tolist(),
        )
        assert abs(error - expected["ece"]) <= 1e-12, seed
