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
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)
from synthetic_events import make_dataset

from trainer.artefact import released_folders
from trainer.errors import UserError
from trainer.evaluate import evaluate_command, evaluate_folder, stored_evaluation
from trainer.evaluation.bootstrap import ABOVE, NOT_SHOWN, TOO_FEW
from trainer.evaluation.checks import MET, NOT_MET
from trainer.evaluation.conclusions import NO_CLAIM, SHOWN
from trainer.evaluation.figures import CURVE_SHARES, SHARES, evaluate
from trainer.evaluation.names import BASELINES
from trainer.evaluation.tables import print_evaluation
from trainer.fit import CANDIDATES, FitConfig, fit, save
from trainer.metrics import span_codes

QUICK = FitConfig(candidates=(CANDIDATES[2],))


@pytest.fixture(scope="module")
def strong() -> pd.DataFrame:
    return fit(make_dataset(2500, strength=1.0), QUICK).predictions


@pytest.fixture(scope="module")
def figures(strong: pd.DataFrame) -> dict[str, Any]:
    return evaluate(strong, threshold=0.42, candidates=1, calibrator="identity")


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
        assert [item["auc"]["value"] for item in found["per_market"]] == pytest.approx(areas)
        assert found["auc_within_symbol"]["value"] == pytest.approx(np.mean(areas))
        for case in found["confirmed"]:
            confirmed = rows[case["by"]] >= case["threshold"]
            assert (case["events"], case["wins"]) == (confirmed.sum(), wins[confirmed].sum())
            if confirmed.any():
                assert case["win_rate"]["value"] == pytest.approx(precision_score(wins, confirmed))
                assert case["recall"]["value"] == pytest.approx(recall_score(wins, confirmed))
        for score, average in found["average_precision"].items():
            assert average["value"] == pytest.approx(average_precision_score(wins, rows[score]))
        above = found["average_precision_above"]
        own = average_precision_score(wins, rows["calibrated"])
        assert above["constant"]["value"] == pytest.approx(own - wins.mean())
        assert above["prior"]["value"] == pytest.approx(own - average_precision_score(wins, rows["prior"]))
        for score, losses in found["probabilities"].items():
            assert losses["brier"]["value"] == pytest.approx(brier_score_loss(wins, rows[score]))
            assert losses["log_loss"]["value"] == pytest.approx(log_loss(wins, rows[score]))
        assert found["probabilities"]["calibrated"]["ece"] == found["ece"]
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
    curve = {point["share"]: point for point in figures["holdout"]["true_positive_curve"]}
    assert list(curve) == list(CURVE_SHARES)
    for place, share in enumerate(SHARES):
        named = figures["holdout"]["true_positives"][place]
        assert named | {"share": share} == curve[share] | {"confirmations": f"top {share:.0%}"}


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
    assert figures["headline"]["verdict"] == "Not to be trusted"
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
    claims = {claim["claim"]: claim["holdout"]["verdict"] for claim in figures["claims"]}
    assert claims["It ranks events better than chance"] == claims["It ranks events better than the rule score"] == SHOWN
    assert claims["It confirms more wins than the rule at equally many confirmations (top 30%)"] == SHOWN


def test_words_change_with_the_figures(strong: pd.DataFrame) -> None:
    """Nothing but the closing sentence is said of strong and of useless predictions alike."""
    useless = strong.assign(calibrated=np.random.default_rng(0).permutation(strong["calibrated"]))
    evaluations = [
        evaluate(table, threshold=0.42, candidates=candidates, calibrator=method, resamples=100)
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


def test_curves_are_points_of_scikit_learns(strong: pd.DataFrame, figures: dict[str, Any]) -> None:
    rows = strong[strong["part"] == "holdout"]
    wins = rows["outcome_label"] == "win"
    for score, curves in figures["holdout"]["curves"].items():
        x, y, _ = roc_curve(wins, rows[score])
        precision, recall, _ = precision_recall_curve(wins, rows[score])
        for name, all_points in (
            ("roc", zip(x, y, strict=True)),
            ("precision_recall", zip(recall, precision, strict=True)),
        ):
            points = [tuple(point) for point in curves[name]]
            assert set(points) <= {(round(float(a), 4), round(float(b), 4)) for a, b in all_points}
            assert points == sorted(points, key=lambda point: point[0])
            assert len(points) <= 41
        assert curves["roc"][0] == [0, 0]
        assert curves["roc"][-1] == [1, 1]
        assert curves["precision_recall"][-1] == [1, round(float(wins.mean()), 4)]
        # The few points that are kept hold the area.
        corners = np.array(curves["roc"])
        assert np.trapezoid(corners[:, 1], corners[:, 0]) == pytest.approx(roc_auc_score(wins, rows[score]), abs=0.02)


def test_reliability_bins_hold_every_event_and_give_the_calibration_error(
    strong: pd.DataFrame, figures: dict[str, Any]
) -> None:
    rows = strong[strong["part"] == "holdout"]
    wins = (rows["outcome_label"] == "win").to_numpy()
    for bins in figures["holdout"]["reliability"].values():
        assert sum(found["events"] for found in bins) == len(rows)
        assert sum(found["wins"] for found in bins) == wins.sum()
        for found in bins:
            here = rows["calibrated"].between(found["lowest"], found["highest"]).to_numpy()
            assert here.sum() == found["events"]
            assert found["predicted"] == pytest.approx(rows["calibrated"][here].mean())
            assert found["observed"]["value"] == pytest.approx(wins[here].mean())
    widths = figures["holdout"]["reliability"]["equal_widths"]
    gaps = sum(found["events"] * abs(found["predicted"] - found["observed"]["value"]) for found in widths)
    assert figures["holdout"]["ece"]["value"] == pytest.approx(gaps / len(rows))
    counts = [found["events"] for found in figures["holdout"]["reliability"]["equal_counts"]]
    assert len(counts) == 10
    assert max(counts) - min(counts) <= 2
    level = strong.assign(calibrated=0.3)
    flat = evaluate(level, threshold=0.42, candidates=1, calibrator="identity", resamples=100)["holdout"]["reliability"]
    assert [len(bins) for bins in flat.values()] == [1, 1]


def test_parts_of_the_events_add_up(strong: pd.DataFrame, figures: dict[str, Any]) -> None:
    for part in ("walk_forward", "holdout"):
        rows = strong[strong["part"] == part]
        wins = rows["outcome_label"] == "win"
        for name in ("per_market", "per_timeframe", "per_pattern", "blocks"):
            assert sum(group["events"] for group in figures[part][name]) == len(rows)
            assert sum(group["wins"] for group in figures[part][name]) == wins.sum()
        for block in figures[part]["blocks"]:
            here = rows["block"] == block["block"]
            assert block["auc"]["value"] == pytest.approx(roc_auc_score(wins[here], rows["calibrated"][here]))
            for score, area in block["baselines"].items():
                assert area["value"] == pytest.approx(roc_auc_score(wins[here], rows[score][here]))
        for group in figures[part]["per_pattern"]:
            here = rows["pattern_type"] == group["pattern_type"]
            of_group, scores = wins[here].to_numpy(), rows[here]
            assert group["auc"]["value"] == pytest.approx(roc_auc_score(of_group, scores["calibrated"]))
            brier = brier_score_loss(of_group, scores["calibrated"])
            rate = of_group.mean()
            assert group["brier_skill_own_base_rate"]["value"] == pytest.approx(1 - brier / (rate * (1 - rate)))
            few = evaluate_top(scores["calibrated"].to_numpy(), of_group) / evaluate_top(
                scores["rule_confidence"].to_numpy(), of_group
            )
            assert group["model_to_rule"]["value"] == pytest.approx(few)


def evaluate_top(score: Any, wins: Any) -> float:
    """Return the expected wins among the highest 30 %, ties in random order."""
    count = round(0.3 * len(score))
    limit = np.sort(score)[-count]
    surely, tied = score > limit, score == limit
    return float(wins[surely].sum() + (count - surely.sum()) * wins[tied].mean())


def test_small_markets_and_patterns_are_taken_together(strong: pd.DataFrame) -> None:
    random = np.random.default_rng(5)
    few = random.random(len(strong)) < 0.06
    table = strong.assign(
        symbol=np.where(few, random.choice(["tiny", "<b>small</b>"], len(strong)), strong["symbol"]),
        pattern_type=np.where(few, random.choice(["rare", "rarer"], len(strong)), strong["pattern_type"]),
    )
    holdout = evaluate(table, threshold=0.42, candidates=1, calibrator="identity", resamples=100)["holdout"]
    *markets, others = holdout["per_market"]
    assert [market["symbol"] for market in markets] == ["<b>small</b>", "S0", "S1", "S2", "tiny"]
    small = [market for market in markets if market["auc"]["verdict"] == TOO_FEW]
    assert [market["symbol"] for market in small] == ["<b>small</b>", "tiny"]
    assert others["others"] == 2
    assert others["events"] == sum(market["events"] for market in small)
    assert [pattern.get("others") for pattern in holdout["per_pattern"]] == [None, None, None, 2]
    within = [market["auc"]["value"] for market in markets if market not in small]
    assert holdout["auc_within_symbol"]["value"] == pytest.approx(np.mean(within))


def test_one_direction_alone_is_evaluated(strong: pd.DataFrame) -> None:
    bullish = strong[strong["direction"] == "bullish"]
    holdout = evaluate(bullish, threshold=0.42, candidates=1, calibrator="identity", resamples=100)["holdout"]
    assert holdout["by_direction"]["bearish"]["events"] == 0
    assert holdout["by_direction"]["bearish"]["auc"]["value"] is None
    assert holdout["by_direction"]["bullish"]["auc"] == holdout["auc"]["calibrated"]


def real(table: pd.DataFrame, share: float) -> pd.DataFrame:
    """Return predictions whose signal is diluted, as that of real bars is."""
    random = np.random.default_rng(4)
    kept = random.random(len(table)) < share
    return table.assign(calibrated=np.where(kept, table["calibrated"], random.permutation(table["calibrated"])))


def test_the_headline_says_what_is_shown_and_what_is_not(strong: pd.DataFrame) -> None:
    weak, noise = (
        evaluate(real(strong, share), threshold=0.42, candidates=1, calibrator="identity", resamples=100)
        for share in (0.6, 0.0)
    )
    assert weak["headline"]["verdict"] in ("A weak signal is shown", "A signal is shown")
    assert "by the chance of a large-enough favourable move in time better than chance" in weak["headline"]["sentence"]
    cut = weak["holdout"]["true_positives"][-1]
    for ratio in (cut["model_to_rule"], cut["model_to_volatility"]):
        said = {ABOVE: "more", NOT_SHOWN: "not shown to be more"}[ratio["verdict"]]
        assert f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}] times" in weak["headline"]["but"]
        assert f"({said})" in weak["headline"]["but"]
    for name, gain in weak["holdout"]["auc_above"].items():
        beaten_not = weak["headline"]["but"].partition("It is not shown to rank better than ")[2].partition(".")[0]
        assert (BASELINES[name] in beaten_not) == (gain["verdict"] != ABOVE)
    assert noise["headline"]["verdict"] == "No signal is shown"
    assert "not shown to be better than chance" in noise["headline"]["sentence"]
    of_range = evaluate(
        real(strong, 0.6), threshold=0.42, candidates=1, calibrator="identity", resamples=100, label="RX"
    )
    assert "(volatility, not direction) better than chance" in of_range["headline"]["sentence"]
    for said in (weak, noise, of_range):
        text = json.dumps(said["headline"])
        assert "predict" not in text
        assert "return" not in text


def test_goals_are_met_or_not(strong: pd.DataFrame, figures: dict[str, Any]) -> None:
    met = {goal["goal"]: goal["status"] for goal in figures["goals"]}
    assert met["AUC at least 0.56, lower bound above 0.53"] == MET
    assert met["wins against the rule's, top 30%: at least 1.10 times, lower bound above 1.03"] == MET
    noise = evaluate(real(strong, 0.0), threshold=0.42, candidates=1, calibrator="identity", resamples=100)
    assert {goal["status"] for goal in noise["goals"][:2]} == {NOT_MET}
    assert (
        evaluate(strong, threshold=0.42, candidates=1, calibrator="identity", resamples=100, label="HIT")["goals"] == []
    )


def test_a_shift_of_the_base_rate_is_no_skill(strong: pd.DataFrame) -> None:
    """A model that says nothing but a base rate nearer to the holdout's beats the training data's, and no more."""
    is_win = strong["outcome_label"] == "win"
    own = strong.groupby("part")["outcome_label"].transform(lambda outcomes: (outcomes == "win").mean())
    jitter = np.random.default_rng(2).normal(0, 1e-3, len(strong))
    shifted = strong.assign(constant=own - 0.15, calibrated=own - 0.02 + jitter)
    assert is_win.any()
    evaluation = evaluate(shifted, threshold=0.42, candidates=1, calibrator="identity", resamples=100)
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
    evaluation = evaluate(one_sided, threshold=0.42, candidates=1, calibrator="identity", resamples=100)
    found = evaluation["holdout"]["by_direction"]
    assert found["bullish"]["auc"]["verdict"] == NOT_SHOWN
    assert found["bearish"]["auc"]["verdict"] == ABOVE
    within = next(sentence for sentence in evaluation["summary"] if "within bullish" in sentence)
    assert "within bullish events is not shown to be better than chance" in within
    assert "within bearish events is better than chance" in within


def test_noise_is_called_noise() -> None:
    claims = dict.fromkeys(("chance", "skill", "top 30%", "volatility"), 0)
    for seed in range(8):
        noise = fit(make_dataset(2500, strength=0.0, seed=seed), QUICK).predictions
        evaluation = evaluate(noise, threshold=0.42, candidates=1, calibrator="identity", resamples=100)
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
    evaluation = evaluate(table, threshold=0.99, candidates=1, calibrator="identity", resamples=100)
    json.dumps(evaluation, allow_nan=False)
    for part in ("walk_forward", "holdout"):
        figures = evaluation[part]
        for figure in (figures["auc"]["calibrated"], figures["brier_skill"], figures["ece"], figures["base_rate"]):
            assert (figure["low"], figure["high"], figure["verdict"]) == (None, None, TOO_FEW)
        assert figures["per_market"][0]["auc"]["verdict"] == figures["auc_within_symbol"]["verdict"] == TOO_FEW
    said = " ".join(evaluation["conclusions"])
    assert "months: too few to judge (needed are 12 months, and 30 events of each class)" in said
    assert "chance" not in said
    assert "better" not in said
    assert len(evaluation["summary"]) == 2
    assert evaluation["headline"]["verdict"] == "Too few events to judge"
    assert {claim["holdout"]["verdict"] for claim in evaluation["claims"]} == {TOO_FEW}
    assert {row["status"] for row in (*evaluation["goals"], *evaluation["leak_checks"])} == {TOO_FEW}
    for brief in (True, False):
        output = io.StringIO()
        print_evaluation({"version": "v", "champion": "c", **evaluation}, Console(file=output, width=80), brief=brief)
        assert "too few to judge" in output.getvalue()


def test_the_win_rate_is_said_at_both_thresholds(strong: pd.DataFrame) -> None:
    top = float(np.sort(strong["blended"][strong["part"] == "holdout"])[-20])
    evaluation = evaluate(
        strong, threshold=0.42, confidence_threshold=top, candidates=1, calibrator="identity", resamples=100
    )
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
    evaluation = evaluate(table[~rare], threshold=0.42, candidates=1, calibrator="identity", resamples=100)
    for part in ("walk_forward", "holdout"):
        found = {item["symbol"]: item for item in evaluation[part]["per_market"]}
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
    for words in (
        "AUC model",
        "AUC placebo",
        "brier skill",
        "wins vs rule, top 30%",
        "AUC S0 1d",
        "checks for leaks",
        "- Costs and",
    ):
        assert words in output.getvalue()
    brief = io.StringIO()
    print_evaluation(evaluation, Console(file=brief, width=500), brief=True)
    printed = brief.getvalue().splitlines()[-len(evaluation["summary"]) :]
    assert printed == evaluation["summary"]
    described = json.loads((folder / "dataset.json").read_text())
    unpurged = {name: value for name, value in described["holdout"].items() if name != "last_choosing_outcome"}
    (folder / "dataset.json").write_text(json.dumps(described | {"holdout": unpurged}))
    with pytest.raises(UserError, match="by an earlier version of the trainer: run `trainer fit` again"):
        evaluate_folder(folder)
    (folder / "dataset.json").write_text(json.dumps(described))
    table = pd.read_csv(folder / "predictions.csv.gz")
    table.drop(columns="planted").to_csv(folder / "predictions.csv.gz", index=False)
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
