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

from trainer.artefact import released_folders
from trainer.errors import UserError
from trainer.evaluate import (
    ABOVE,
    NO_CLAIM,
    NOT_SHOWN,
    TOO_FEW,
    Resamples,
    evaluate,
    evaluate_command,
    evaluate_folder,
    interval,
    is_enough,
    judge,
    print_evaluation,
    stored_evaluation,
)
from trainer.fit import CANDIDATES, FitConfig, fit, save
from trainer.metrics import span_codes

QUICK = FitConfig(candidates=(CANDIDATES[2],))


@pytest.fixture(scope="module")
def strong() -> pd.DataFrame:
    return fit(make_dataset(2500, strength=1.0), QUICK).predictions


@pytest.fixture(scope="module")
def figures(strong: pd.DataFrame) -> dict[str, Any]:
    return evaluate(strong, threshold=0.42, candidates=1, calibrator="identity")


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
        base_rate = np.full(len(rows), wins.mean())
        assert found["brier_skill_own_base_rate"]["value"] == pytest.approx(
            1 - brier / brier_score_loss(wins, base_rate)
        )
        loss = log_loss(wins, rows["calibrated"])
        assert found["log_loss_skill"]["value"] == pytest.approx(1 - loss / log_loss(wins, rows["constant"]))
        assert found["log_loss_skill_own_base_rate"]["value"] == pytest.approx(1 - loss / log_loss(wins, base_rate))
        decided = rows["outcome_label"] != "timeout"
        area = roc_auc_score(wins[decided], rows["calibrated"][decided])
        assert found["auc_win_vs_loss"]["value"] == pytest.approx(area)
        assert found["auc_direction_sign"]["value"] == pytest.approx(
            roc_auc_score(wins, rows["direction"] == "bullish")
        )
        for name, inside in found["by_direction"].items():
            here = rows["direction"] == name
            assert inside["events"] == here.sum()
            assert inside["base_rate"]["value"] == pytest.approx(wins[here].mean())
            assert inside["auc"]["value"] == pytest.approx(roc_auc_score(wins[here], rows["calibrated"][here]))
        areas = [
            roc_auc_score(wins[rows["symbol"] == symbol], rows["calibrated"][rows["symbol"] == symbol])
            for symbol in ("S0", "S1", "S2")
        ]
        assert [item["auc"]["value"] for item in found["per_symbol"]] == pytest.approx(areas)
        assert found["auc_within_symbol"]["value"] == pytest.approx(np.mean(areas))
        for case in found["confirmed"]:
            confirmed = rows[case["by"]] >= case["threshold"]
            assert (case["events"], case["wins"]) == (confirmed.sum(), wins[confirmed].sum())
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


def test_a_share_of_the_events_is_a_whole_number_of_them(strong: pd.DataFrame, figures: dict[str, Any]) -> None:
    rows = strong[strong["part"] == "walk_forward"]
    wins = (rows["outcome_label"] == "win").to_numpy()
    random = np.random.default_rng(0)
    for cut, share in zip(figures["walk_forward"]["true_positives"], (0.3, 0.1), strict=False):
        count = round(share * len(rows))
        assert cut["events"] == count
        best = np.argsort(-rows["calibrated"].to_numpy(), kind="stable")[:count]
        assert cut["wins_model"] == wins[best].sum()
        # Rule scores are rounded: of the tied events at the cut, any may be in it.
        dealt = [
            wins[np.lexsort((random.random(len(rows)), -rows["rule_confidence"].to_numpy()))[:count]].sum()
            for _ in range(2000)
        ]
        assert np.std(dealt) > 0
        assert cut["wins_rule"] == pytest.approx(np.mean(dealt), abs=4 * np.std(dealt) / np.sqrt(2000))


def test_words_follow_the_intervals(figures: dict[str, Any]) -> None:
    said = " ".join(figures["conclusions"])
    assert "On the holdout, the model's AUC is" in said
    assert "better than chance" in said
    assert "look for a leak" in said  # planted signal: far above what real bars give
    assert "its AUC is above that of the rule score (+0." in said
    assert "better than always saying the base rate, both that of the training data" in said
    assert "at least 10% more" in said
    assert "the fit used the holdout for no choice" in said
    assert "identity, that is, none" in said
    # The planted signal is the same in both directions, and in wins against losses.
    assert "within bullish events is better than chance" in said
    assert ": better than chance at telling which barrier comes first" in said
    assert figures["conclusions"][-1] == figures["summary"][-1] == NO_CLAIM
    assert 3 <= len(figures["summary"]) <= 5


def test_words_change_with_the_figures(strong: pd.DataFrame) -> None:
    """Nothing but the closing sentence is said of strong and of useless predictions alike."""
    useless = strong.assign(calibrated=np.random.default_rng(0).permutation(strong["calibrated"]))
    evaluations = [
        evaluate(table, threshold=0.42, candidates=candidates, calibrator=method)
        for table, candidates, method in ((strong, 8, "identity"), (useless, 9, "sigmoid"))
    ]
    about_data = ("direction alone", "confirms", "to draw from", "too few to judge")
    for key in ("conclusions", "summary"):
        strong_words, useless_words = (set(evaluation[key]) for evaluation in evaluations)
        about_model = {s for s in strong_words & useless_words if not any(words in s for words in about_data)}
        assert about_model == {NO_CLAIM}
    said = " ".join(evaluations[1]["conclusions"])
    for words in (
        "events: not shown to be better than chance",
        "within bearish events is not shown to be better than chance",
        "not shown to tell which barrier comes first",
        "among 9 candidates",
        "The calibrator is sigmoid",
    ):
        assert words in said
    assert "better than always saying the base rate" not in said.replace("not shown to be better than", "")


def test_a_shift_of_the_base_rate_is_no_skill(strong: pd.DataFrame) -> None:
    """A model that says nothing but a base rate nearer to the holdout's beats the training data's, and no more."""
    is_win = strong["outcome_label"] == "win"
    own = strong.groupby("part")["outcome_label"].transform(lambda outcomes: (outcomes == "win").mean())
    jitter = np.random.default_rng(2).normal(0, 1e-3, len(strong))
    shifted = strong.assign(constant=own - 0.15, calibrated=own - 0.02 + jitter)
    assert is_win.any()
    evaluation = evaluate(shifted, threshold=0.42, candidates=1, calibrator="identity")
    for part in ("walk_forward", "holdout"):
        figures = evaluation[part]
        for loss in ("brier", "log_loss"):
            assert figures[f"{loss}_skill"]["verdict"] == ABOVE
            assert figures[f"{loss}_skill_own_base_rate"]["verdict"] != ABOVE
    said = " ".join(evaluation["conclusions"])
    assert "are better than always saying the base rate" not in said
    assert "are better than always saying the training data's base rate" in said
    assert "may be no more than a shift of the base rate" in said


def test_directions_are_judged_apart(strong: pd.DataFrame) -> None:
    """Ranking that lives in one direction alone, and in telling the directions apart, is named as such."""
    bullish = strong["direction"] == "bullish"
    noise = np.random.default_rng(3).random(len(strong)) / 1e3
    one_sided = strong.assign(calibrated=np.where(bullish, 0.2 + noise, strong["calibrated"]))
    evaluation = evaluate(one_sided, threshold=0.42, candidates=1, calibrator="identity")
    found = evaluation["holdout"]["by_direction"]
    assert found["bullish"]["auc"]["verdict"] == NOT_SHOWN
    assert found["bearish"]["auc"]["verdict"] == ABOVE
    within = next(sentence for sentence in evaluation["summary"] if "within bullish" in sentence)
    assert "within bullish events is not shown to be better than chance" in within
    assert "within bearish events is better than chance" in within


def test_too_little_gets_neither_interval_nor_verdict() -> None:
    spans, wins = np.arange(120) // 10, np.arange(120) % 2 == 0
    assert is_enough(spans, wins)
    assert not is_enough(spans // 2, wins)
    assert not is_enough(spans, np.arange(120) < 29)
    assert not is_enough(spans, np.arange(120) >= 29)
    values = np.linspace(0.6, 0.7, 100)
    assert judge(values, True, 0.5)["verdict"] == ABOVE
    assert judge(values, False, 0.5) == {"value": 0.6, "low": None, "high": None, "verdict": TOO_FEW}
    assert judge(np.full(100, np.nan), True, 0.5)["verdict"] == TOO_FEW


def test_noise_is_called_noise() -> None:
    claims = dict.fromkeys(("chance", "skill", "top 30%", "volatility"), 0)
    for seed in range(8):
        noise = fit(make_dataset(2500, strength=0.0, seed=seed), QUICK).predictions
        evaluation = evaluate(noise, threshold=0.42, candidates=1, calibrator="identity")
        said = " ".join(evaluation["conclusions"])
        assert "look for a leak" not in said
        assert "distrust the figures" not in said
        for part in ("walk_forward", "holdout"):
            figures = evaluation[part]
            claimed = figures["auc"]["calibrated"]["verdict"] == ABOVE
            claims["chance"] += claimed
            claims["skill"] += figures["brier_skill_own_base_rate"]["verdict"] == ABOVE
            claims["top 30%"] += figures["true_positives"][0]["model_to_rule"]["verdict"] == ABOVE
            claims["volatility"] += figures["auc_above"]["volatility"]["verdict"] == ABOVE
            where = "In walk-forward" if part == "walk_forward" else "On the holdout"
            sentence = next(s for s in evaluation["conclusions"] if s.startswith(f"{where}, the model's AUC"))
            assert sentence.endswith(": better than chance.") == claimed
    # One in forty is expected of each; there are sixteen chances.
    assert max(claims.values()) <= 3


def test_one_symbol_and_few_events() -> None:
    table = fit(make_dataset(120, symbols=1), QUICK).predictions
    evaluation = evaluate(table, threshold=0.99, candidates=1, calibrator="identity")
    json.dumps(evaluation, allow_nan=False)
    for part in ("walk_forward", "holdout"):
        figures = evaluation[part]
        for figure in (figures["auc"]["calibrated"], figures["brier_skill"], figures["ece"], figures["base_rate"]):
            assert (figure["low"], figure["high"], figure["verdict"]) == (None, None, TOO_FEW)
        assert figures["per_symbol"][0]["auc"]["verdict"] == figures["auc_within_symbol"]["verdict"] == TOO_FEW
    said = " ".join(evaluation["conclusions"])
    assert "months: too few to judge (needed are 12 months, and 30 events of each class)" in said
    assert "chance" not in said
    assert "better" not in said
    assert len(evaluation["summary"]) == 2
    for brief in (True, False):
        output = io.StringIO()
        print_evaluation({"version": "v", "champion": "c", **evaluation}, Console(file=output, width=80), brief=brief)
        assert "too few to judge" in output.getvalue()


def test_the_win_rate_is_said_at_both_thresholds(strong: pd.DataFrame) -> None:
    top = float(np.sort(strong["blended"][strong["part"] == "holdout"])[-20])
    evaluation = evaluate(strong, threshold=0.42, confidence_threshold=top, candidates=1, calibrator="identity")
    in_use, recommended = [s for s in evaluation["conclusions"] if s.startswith("On the holdout, at ")]
    assert "the blend confirms 20 events" in in_use
    assert "; too few to judge)" in in_use
    won = evaluation["holdout"]["confirmed"][1]["wins"]
    assert f"of which {won} won ({won / 20:.2f}" in in_use
    assert "won: above the base rate" in recommended


def test_a_symbol_that_is_seldom_there() -> None:
    table = fit(make_dataset(2500, symbols=2), QUICK).predictions
    months = span_codes(table["detected_at"], "month")
    rare = (table["symbol"] == "S1") & ~np.isin(months, [months.min() + 1, months.max()])
    evaluation = evaluate(table[~rare], threshold=0.42, candidates=1, calibrator="identity")
    for part in ("walk_forward", "holdout"):
        found = {item["symbol"]: item for item in evaluation[part]["per_symbol"]}
        assert found["S1"]["events"] < 30
        assert found["S1"]["auc"]["verdict"] == TOO_FEW
        assert evaluation[part]["auc_within_symbol"] == pytest.approx(found["S0"]["auc"])


def test_folder_and_table(tmp_path: Path, figures: dict[str, Any]) -> None:
    result = fit(make_dataset(900), QUICK)
    folder = save(result, tmp_path)
    evaluation = evaluate_folder(folder)
    assert json.loads((folder / "evaluation.json").read_text()) == evaluation
    direct = evaluate(result.predictions, threshold=result.threshold, candidates=1, calibrator="identity")
    assert evaluation["holdout"] == direct["holdout"]
    assert evaluation["walk_forward"] == direct["walk_forward"]
    output = io.StringIO()
    print_evaluation(evaluation, Console(file=output, width=120))
    for words in ("AUC model", "AUC placebo", "brier skill", "wins vs rule, top 30%", "AUC S0", "- On the holdout"):
        assert words in output.getvalue()
    brief = io.StringIO()
    print_evaluation(evaluation, Console(file=brief, width=500), brief=True)
    printed = brief.getvalue().splitlines()[-len(evaluation["summary"]) :]
    assert printed == evaluation["summary"]
    table = pd.read_csv(folder / "predictions.csv.gz")
    table.drop(columns="direction").to_csv(folder / "predictions.csv.gz", index=False)
    with pytest.raises(UserError, match="by an earlier version of the trainer: run `trainer fit` again"):
        evaluate_folder(folder)
    (folder / "predictions.csv.gz").unlink()
    assert stored_evaluation(folder) is None
    with pytest.raises(UserError, match="trainer fit"):
        evaluate_folder(folder)


def test_a_released_model_shows_its_stored_evaluation(
    tmp_path: Path, figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = {"version": "v0001", "champion": "logistic", **figures}
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    evaluate_command(str(tmp_path))
    assert ", as evaluated before its release:\nv0001: logistic" in capsys.readouterr().out
    evaluate_command(str(tmp_path), as_json=True)
    assert json.loads(capsys.readouterr().out) == evaluation
    assert [file.name for file in tmp_path.iterdir()] == ["evaluation.json"]
    for released in released_folders():
        evaluate_command(str(released.path))
        assert "AUC model" in capsys.readouterr().out


def test_intraday_bars_are_drawn_by_week(tmp_path: Path) -> None:
    daily = make_dataset(900)
    hourly = dataclasses.replace(daily, bar_period=pd.Timedelta(hours=1))
    folders = [save(fit(dataset, QUICK), tmp_path / name) for name, dataset in (("d", daily), ("h", hourly))]
    by_month, by_week = (evaluate_folder(folder) for folder in folders)
    assert (by_month["holdout"]["span"], by_week["holdout"]["span"]) == ("month", "week")
    assert by_week["holdout"]["spans"] > 3 * by_month["holdout"]["spans"]
    assert "weeks" in by_week["interval"]
