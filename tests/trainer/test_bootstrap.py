"""The bootstrap over months: every figure in every resample equals scikit-learn's or a plain loop's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from trainer.evaluation import bootstrap
from trainer.evaluation.bootstrap import ABOVE, BELOW, NOT_SHOWN, TOO_FEW, Resamples, interval, is_enough, judge


def sample(seed: int = 0, events: int = 400) -> tuple[Any, Any, Resamples]:
    random = np.random.default_rng(seed)
    score = np.round(random.random(events), 2)  # with ties
    return score, random.random(events) < score, Resamples.of_spans(np.arange(events) // 20, resamples=15)


@st.composite
def scored(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Return scores with many ties, outcomes of both kinds, and the span of each event."""
    events = draw(st.integers(4, 60))

    def of_each(values: st.SearchStrategy[Any]) -> Any:
        return np.array(draw(st.lists(values, min_size=events, max_size=events)))

    wins = of_each(st.booleans())
    wins[:2] = True, False
    return of_each(st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.9, 1.0])), wins, of_each(st.integers(0, 5))


@settings(max_examples=30, deadline=None)
@given(scored())
def test_rankings_equal_scikit_learn_in_every_resample(example: tuple[Any, Any, Any]) -> None:
    score, wins, spans = example
    resamples = Resamples.of_spans(spans, resamples=8)
    areas, precisions = resamples.auc(score, wins), resamples.average_precision(score, wins)
    for weights, area, precision in zip(resamples.weights.T, areas, precisions, strict=True):
        if not weights[wins].any():
            assert np.isnan(precision)
            assert np.isnan(area)
            continue
        # scikit-learn warns of thresholds without any weight.
        drawn = weights > 0
        chosen = {"y_true": wins[drawn], "y_score": score[drawn], "sample_weight": weights[drawn]}
        assert precision == pytest.approx(average_precision_score(**chosen))
        if weights[~wins].any():
            assert area == pytest.approx(roc_auc_score(**chosen))
        else:
            assert np.isnan(area)


def test_auc_equals_scikit_learn_in_every_resample() -> None:
    score, wins, resamples = sample()
    expected = [roc_auc_score(wins, score, sample_weight=weights) for weights in resamples.weights.T]
    np.testing.assert_allclose(resamples.auc(score, wins), expected, rtol=1e-12)


def test_resamples_taken_some_at_a_time_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    score, wins, resamples = sample()
    counts = np.vstack([0.1 * resamples.count(), 0.5 * resamples.count()])
    whole = resamples.average_precision(score, wins), resamples.wins_among_highest(score, wins, counts)
    monkeypatch.setattr(bootstrap, "_CELLS", 3 * len(score))
    np.testing.assert_allclose(resamples.average_precision(score, wins), whole[0], rtol=1e-12)
    np.testing.assert_allclose(resamples.wins_among_highest(score, wins, counts), whole[1], rtol=1e-12)


def test_no_events_give_no_figure() -> None:
    score, wins, resamples = sample()
    nothing = resamples.of_rows(np.zeros(len(score), bool))
    empty: Any = (score[:0], wins[:0])
    for found in (nothing.auc(*empty), nothing.average_precision(*empty), nothing.calibration_error(*empty)):
        assert found.shape == (16,)
        assert np.isnan(found).all()
    assert (nothing.wins_among_highest(*empty, np.full(16, 3.0)) == 0).all()
    assert interval(nothing.mean(score[:0])) == {"value": None, "low": None, "high": None}


def test_spans_are_drawn_as_wholes() -> None:
    months = np.repeat([5, 7, 8], [3, 4, 2])
    weights = Resamples.of_spans(months, resamples=50).weights
    assert weights.shape == (9, 51)
    assert (weights[:, 0] == 1).all()
    for month in (5, 7, 8):
        assert (weights[months == month] == weights[months == month][:1]).all()
    assert (weights[[0, 3, 7]].sum(axis=0) == 3).all()


def test_calibration_error_equals_a_plain_loop() -> None:
    score, wins, resamples = sample()
    for weights, found in zip(resamples.weights.T, resamples.calibration_error(score, wins), strict=True):
        expected = 0.0
        for low in np.arange(10):
            here = (np.minimum((score * 10).astype(int), 9) == low) & (weights > 0)
            if here.any():
                gap = np.average(score[here], weights=weights[here]) - np.average(wins[here], weights=weights[here])
                expected += abs(gap) * weights[here].sum() / weights.sum()
        assert found == pytest.approx(expected, rel=1e-12)


def test_wins_among_the_highest_equal_a_plain_sort() -> None:
    random = np.random.default_rng(1)
    score, wins = random.permutation(200) / 200, random.random(200) < 0.3
    resamples = Resamples.of_spans(np.arange(200) // 10, resamples=10)
    count = np.floor(0.3 * resamples.count())
    found = resamples.wins_among_highest(score, wins, count)
    for weights, wanted, result in zip(resamples.weights.T, count, found, strict=True):
        events = np.repeat(np.arange(200), weights.astype(int))
        best = events[np.argsort(-score[events], kind="stable")][: int(wanted)]
        assert result == pytest.approx(wins[best].sum())


def test_tied_scores_count_as_expected() -> None:
    resamples = Resamples(np.ones((1, 1)), np.zeros(10, dtype=np.int64))
    wins = np.arange(10) < 4
    assert resamples.wins_among_highest(np.full(10, 0.5), wins, np.array([5.0])) == pytest.approx([2.0])


def test_interval_covers_as_it_says() -> None:
    random = np.random.default_rng(8)
    inside = 0
    for _ in range(200):
        values = np.repeat(random.normal(size=60), 5)
        found = interval(Resamples.of_spans(np.repeat(np.arange(60), 5), seed=int(random.integers(1e9))).mean(values))
        inside += found["low"] <= 0 <= found["high"]
    assert 0.88 <= inside / 200 <= 0.99


def test_too_little_gets_neither_interval_nor_verdict() -> None:
    spans, wins = np.arange(120) // 10, np.arange(120) % 2 == 0
    assert is_enough(spans, wins)
    assert not is_enough(spans // 2, wins)
    assert not is_enough(spans, np.arange(120) < 29)
    assert not is_enough(spans, np.arange(120) >= 29)
    values = np.linspace(0.6, 0.7, 100)
    for chance, verdict in ((0.5, ABOVE), (0.65, NOT_SHOWN), (0.8, BELOW)):
        assert judge(values, True, chance)["verdict"] == verdict
    assert judge(values, False, 0.5) == {"value": 0.6, "low": None, "high": None, "verdict": TOO_FEW}
    assert judge(np.full(100, np.nan), True, 0.5)["verdict"] == TOO_FEW
