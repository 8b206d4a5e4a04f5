"""trainer evaluate against scikit-learn and plain loops, and what it says in words."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from synthetic_events import make_dataset

from trainer.errors import UserError
from trainer.evaluate import Resamples, evaluate, evaluate_folder, interval, print_evaluation
from trainer.fit import CANDIDATES, FitConfig, fit, save
from trainer.metrics import span_codes

QUICK = FitConfig(candidates=(CANDIDATES[2],))


@pytest.fixture(scope="module")
def strong() -> pd.DataFrame:
    return fit(make_dataset(2500, strength=1.0), QUICK).predictions


@pytest.fixture(scope="module")
def figures(strong: pd.DataFrame) -> dict[str, Any]:
    return evaluate(strong, threshold=0.42)


def sample(seed: int = 0, events: int = 400) -> tuple[Any, Any, Resamples]:
    random = np.random.default_rng(seed)
    score = np.round(random.random(events), 2)  # with ties
    return score, random.random(events) < score, Resamples.of_spans(np.arange(events) // 20, resamples=15)


def test_auc_equals_scikit_learn_in_every_resample() -> None:
    score, wins, resamples = sample()
    expected = [roc_auc_score(wins, score, sample_weight=weights) for weights in resamples.weights]
    np.testing.assert_allclose(resamples.auc(score, wins), expected, rtol=1e-12)


def test_spans_are_drawn_as_wholes() -> None:
    months = np.repeat([5, 7, 8], [3, 4, 2])
    weights = Resamples.of_spans(months, resamples=50).weights
    assert weights.shape == (51, 9)
    assert (weights[0] == 1).all()
    for month in (5, 7, 8):
        assert (weights[:, months == month] == weights[:, months == month][:, :1]).all()
    assert (weights[:, [0, 3, 7]].sum(axis=1) == 3).all()


def test_calibration_error_equals_a_plain_loop() -> None:
    score, wins, resamples = sample()
    for weights, found in zip(resamples.weights, resamples.calibration_error(score, wins), strict=True):
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
    count = np.floor(0.3 * resamples.weights.sum(axis=1))
    found = resamples.wins_among_highest(score, wins, count)
    for weights, wanted, result in zip(resamples.weights, count, found, strict=True):
        events = np.repeat(np.arange(200), weights.astype(int))
        best = events[np.argsort(-score[events], kind="stable")][: int(wanted)]
        assert result == pytest.approx(wins[best].sum())


def test_tied_scores_count_as_expected() -> None:
    resamples = Resamples(np.ones((1, 10)))
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


def test_figures_equal_scikit_learn(strong: pd.DataFrame, figures: dict[str, Any]) -> None:
    for part in ("walk_forward", "holdout"):
        rows = strong[strong["part"] == part]
        wins, found = rows["outcome_label"] == "win", figures[part]
        assert found["events"] == len(rows)
        assert found["class_counts"]["win"] == wins.sum()
        assert sum(found["class_counts"].values()) == len(rows)
        for score in ("calibrated", "blended", "rule_confidence", "prior", "volatility"):
            assert found["auc"][score]["value"] == pytest.approx(roc_auc_score(wins, rows[score]))
        brier = brier_score_loss(wins, rows["calibrated"])
        assert found["brier"]["value"] == pytest.approx(brier)
        assert found["brier_skill"]["value"] == pytest.approx(1 - brier / brier_score_loss(wins, rows["constant"]))
        assert found["log_loss"]["value"] == pytest.approx(log_loss(wins, rows["calibrated"]))
        areas = [
            roc_auc_score(wins[rows["symbol"] == symbol], rows["calibrated"][rows["symbol"] == symbol])
            for symbol in ("S0", "S1", "S2")
        ]
        assert [item["auc"]["value"] for item in found["per_symbol"]] == pytest.approx(areas)
        assert found["auc_within_symbol"]["value"] == pytest.approx(np.mean(areas))
        for case in found["confirmed"]:
            confirmed = rows[case["by"]] >= case["threshold"]
            assert case["events"] == confirmed.sum()
            if confirmed.any():
                assert case["win_rate"]["value"] == pytest.approx(wins[confirmed].mean())
        for figure in (found["brier"], found["auc"]["calibrated"], found["ece"], found["base_rate"]):
            assert figure["low"] <= figure["value"] <= figure["high"] or figure is found["ece"]


def test_equal_confirmations(strong: pd.DataFrame, figures: dict[str, Any]) -> None:
    rows = strong[strong["part"] == "holdout"]
    wins = (rows["outcome_label"] == "win").to_numpy()
    cut = figures["holdout"]["true_positives"][2]
    confirmed = int((rows["rule_confidence"] >= 0.55).sum())
    assert cut["events"] == confirmed
    best = np.argsort(-rows["calibrated"].to_numpy(), kind="stable")[:confirmed]
    assert cut["wins_model"] == pytest.approx(wins[best].sum())
    assert cut["wins_rule"] == pytest.approx(wins[(rows["rule_confidence"] >= 0.55).to_numpy()].sum())
    assert cut["model_to_rule"]["value"] == pytest.approx(cut["wins_model"] / cut["wins_rule"])


def test_words_follow_the_intervals(figures: dict[str, Any]) -> None:
    said = " ".join(figures["conclusions"])
    assert "On the holdout, the model's AUC is" in said
    assert "better than chance" in said
    assert "look for a leak" in said  # planted signal: far above what real bars give
    assert "above that of the rule score, the pattern prior and volatility alone" in said
    assert "at least 10% more" in said
    assert "does not predict direction" in said


def test_noise_is_called_noise() -> None:
    claims = dict.fromkeys(("chance", "skill", "top 30%", "volatility"), 0)
    for seed in range(8):
        noise = fit(make_dataset(1500, strength=0.0, seed=seed), QUICK).predictions
        evaluation = evaluate(noise, threshold=0.42)
        said = " ".join(evaluation["conclusions"])
        assert "look for a leak" not in said
        assert "distrust the figures" not in said
        for part in ("walk_forward", "holdout"):
            figures = evaluation[part]
            claimed = figures["auc"]["calibrated"]["low"] > 0.5
            claims["chance"] += claimed
            claims["skill"] += figures["brier_skill"]["low"] > 0
            claims["top 30%"] += figures["true_positives"][0]["model_to_rule"]["low"] > 1
            claims["volatility"] += figures["auc_above"]["volatility"]["low"] > 0
            where = "In walk-forward" if part == "walk_forward" else "On the holdout"
            sentence = next(s for s in evaluation["conclusions"] if s.startswith(f"{where}, the model's AUC"))
            assert sentence.endswith(": better than chance.") == claimed
    # One in forty is expected of each; there are sixteen chances.
    assert max(claims.values()) <= 3


def test_one_symbol_and_few_events() -> None:
    table = fit(make_dataset(120, symbols=1), QUICK).predictions
    json.dumps(evaluate(table, threshold=0.99), allow_nan=False)


def test_a_symbol_that_is_seldom_there() -> None:
    table = fit(make_dataset(1500, symbols=2), QUICK).predictions
    months = span_codes(table["detected_at"], "month")
    rare = (table["symbol"] == "S1") & ~np.isin(months, [months.min() + 1, months.max()])
    evaluation = evaluate(table[~rare], threshold=0.42)
    for part in ("walk_forward", "holdout"):
        found = {item["symbol"]: item for item in evaluation[part]["per_symbol"]}
        assert found["S1"]["events"] < 30
        assert evaluation[part]["auc_within_symbol"] == pytest.approx(found["S0"]["auc"])


def test_folder_and_table(tmp_path: Path, figures: dict[str, Any]) -> None:
    result = fit(make_dataset(900), QUICK)
    folder = save(result, tmp_path)
    evaluation = evaluate_folder(folder)
    assert json.loads((folder / "evaluation.json").read_text()) == evaluation
    direct = evaluate(result.predictions, threshold=result.threshold)
    assert evaluation["holdout"] == direct["holdout"]
    assert evaluation["walk_forward"] == direct["walk_forward"]
    output = io.StringIO()
    print_evaluation(evaluation, Console(file=output, width=120))
    for words in ("AUC model", "AUC placebo", "brier skill", "wins vs rule, top 30%", "AUC S0", "- On the holdout"):
        assert words in output.getvalue()
    (folder / "predictions.csv.gz").unlink()
    with pytest.raises(UserError, match="trainer fit"):
        evaluate_folder(folder)


def test_intraday_bars_are_drawn_by_week(tmp_path: Path) -> None:
    daily = make_dataset(900)
    hourly = dataclasses.replace(daily, bar_period=pd.Timedelta(hours=1))
    folders = [save(fit(dataset, QUICK), tmp_path / name) for name, dataset in (("d", daily), ("h", hourly))]
    by_month, by_week = (evaluate_folder(folder) for folder in folders)
    assert (by_month["holdout"]["span"], by_week["holdout"]["span"]) == ("month", "week")
    assert by_week["holdout"]["spans"] > 3 * by_month["holdout"]["spans"]
    assert "weeks" in by_week["interval"]
