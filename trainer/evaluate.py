"""Stage 4 of a model's way: what the predictions of unseen events are worth, beside what costs nothing.

Everything is computed twice, on the walk-forward predictions and on the holdout, with 95 % intervals from a
bootstrap over calendar months (weeks for intraday bars): all events of a month move together, which covers
overlapping outcomes and symbols that follow one market. Figures of too few events get no interval and no
verdict. Every sentence but the last follows from the figures. Costs and slippage are not in any of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from trainer.artefact import ModelArgument, ModelFolder, find_model
from trainer.calibration import Floats
from trainer.cli import AsJson
from trainer.dataset import OUTCOMES
from trainer.errors import UserError
from trainer.metrics import log_losses, span_codes

RESAMPLES = 400
SEED = 20_240_229
ECE_BINS = 10
SHARES = (0.3, 0.1)
LEAST_SPANS = 12
LEAST_OF_EACH_CLASS = 30
TRUE_POSITIVE_GOAL = 1.10
SUSPICIOUS_AUC = 0.66
PLACEBO_TOLERANCE = 0.02
FEW_SPANS = 36

ABOVE, BELOW, NOT_SHOWN, TOO_FEW = "above", "below", "not shown", "too few to judge"
"""Verdicts: the interval lies above or below what chance or the baseline gives, includes it, or is withheld."""
NO_CLAIM = "Costs and slippage are in none of these figures, and nothing is claimed about earning money."
DIRECTIONS = ("bullish", "bearish")
BASELINES = {"rule_confidence": "the rule score", "prior": "the pattern prior", "volatility": "volatility alone"}

Figure = dict[str, float | str | None]
"""``value``, ``low`` and ``high`` of the interval, and a ``verdict`` where there is one; None where undefined."""

SCORES = {
    "calibrated": "model",
    "blended": "model blended with rule",
    "rule_confidence": "rule score",
    "prior": "pattern prior",
    "volatility": "volatility, 1 variable",
}


@dataclass(frozen=True, eq=False)
class Resamples:
    """Weights of events, shape (1 + resamples, events): the first row is the sample itself, all ones."""

    weights: Floats

    @classmethod
    def of_spans(cls, spans: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = SEED) -> Resamples:
        """Draw as many spans as there are, with replacement, each with all its events."""
        groups = np.unique(spans, return_inverse=True)[1]
        count = int(groups.max()) + 1
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        return cls(np.vstack([np.ones(count), drawn])[:, groups].astype(np.float64))

    def mean(self, values: Floats) -> Floats:
        """Return the mean of values in every resample; NaN in one without events."""
        return _quotient(self.weights @ values, self.weights.sum(axis=1))

    def of_rows(self, rows: NDArray[np.bool_]) -> Resamples:
        """Return the same resamples of some of the events."""
        return Resamples(self.weights[:, rows])

    def auc(self, score: Floats, is_win: NDArray[np.bool_]) -> Floats:
        """Return the area under the ROC curve in every resample; ties count one half."""
        order = np.argsort(score, kind="stable")
        starts = _starts_of_ties(score[order])
        weights = self.weights[:, order]
        wins = np.add.reduceat(weights * is_win[order], starts, axis=1)
        rest = np.add.reduceat(weights * ~is_win[order], starts, axis=1)
        below = np.cumsum(rest, axis=1) - rest / 2
        return _quotient((wins * below).sum(axis=1), wins.sum(axis=1) * rest.sum(axis=1))

    def wins_among_highest(self, score: Floats, is_win: NDArray[np.bool_], count: Floats) -> Floats:
        """Return the wins among the ``count`` highest scores; of tied events, the expected number."""
        order = np.argsort(-score, kind="stable")
        starts = _starts_of_ties(score[order])
        weights = self.weights[:, order]
        events = np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1)
        wins = np.cumsum(np.add.reduceat(weights * is_win[order], starts, axis=1), axis=1)
        found = [
            np.interp(wanted, np.append(0.0, row), np.append(0.0, won))
            for wanted, row, won in zip(count, events, wins, strict=True)
        ]
        return np.array(found)

    def calibration_error(self, probability: Floats, is_win: NDArray[np.bool_]) -> Floats:
        """Return the expected calibration error over ten bins of equal width."""
        bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
        members = bins[:, None] == np.arange(ECE_BINS)
        gaps = np.abs(self.weights @ (members * (probability - is_win)[:, None]))
        return _quotient(gaps.sum(axis=1), self.weights.sum(axis=1))


def _quotient(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where nothing is there to divide by, as in a resample without any event of a symbol."""
    result = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def _starts_of_ties(ordered: Floats) -> NDArray[np.intp]:
    return np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def interval(values: Floats) -> Figure:
    """Return the sample's value and the 2.5 % and 97.5 % quantiles of the resamples; None where undefined."""
    resampled = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (np.nan, np.nan)
    named = {"value": values[0], "low": low, "high": high}
    return {name: float(value) if np.isfinite(value) else None for name, value in named.items()}


def is_enough(spans: NDArray[np.int64], is_win: NDArray[np.bool_]) -> bool:
    """Say whether events suffice for an interval: ``LEAST_SPANS`` spans, ``LEAST_OF_EACH_CLASS`` wins and others."""
    wins = int(is_win.sum())
    return len(np.unique(spans)) >= LEAST_SPANS and min(wins, len(is_win) - wins) >= LEAST_OF_EACH_CLASS


def judge(values: Floats, enough: bool, chance: float | None = None) -> Figure:
    """Return the interval with its verdict against ``chance``; neither of them from too few events."""
    figure = interval(values)
    low, high = figure["low"], figure["high"]
    if not enough or figure["value"] is None or not isinstance(low, float) or not isinstance(high, float):
        return {**figure, "low": None, "high": None, "verdict": TOO_FEW}
    if chance is None:
        return figure
    return {**figure, "verdict": ABOVE if low > chance else BELOW if high < chance else NOT_SHOWN}


def evaluate(
    predictions: pd.DataFrame,
    *,
    threshold: float,
    candidates: int,
    calibrator: str,
    confidence_threshold: float = 0.55,
    span: str = "month",
) -> dict[str, Any]:
    """Evaluate predictions of events that the model had not seen (the table that ``trainer.fit`` makes).

    Args:
        predictions: see ``trainer.fit.FitResult.predictions``.
        threshold: the recommended threshold for the blended confidence.
        candidates: the number of candidates that the model was chosen among.
        calibrator: the method of the calibrator.
        confidence_threshold: the threshold in use, for the rule's confidence as well.
        span: what the bootstrap draws as a whole, ``month`` or ``week``.

    Returns JSON: ``walk_forward`` and ``holdout``, each with the figures; ``conclusions``, sentences that follow
    from them; ``summary``, a few sentences about the holdout.
    """
    parts = {}
    for part in ("walk_forward", "holdout"):
        rows = predictions[predictions["part"] == part].reset_index(drop=True)
        parts[part] = _evaluate_part(rows, threshold, confidence_threshold, span)
    return {
        "interval": f"95 %, bootstrap over calendar {span}s, {RESAMPLES} resamples",
        "least": {"spans": LEAST_SPANS, "events_of_each_class": LEAST_OF_EACH_CLASS},
        "target": "win against loss and timeout",
        "thresholds": {"in_use": confidence_threshold, "recommended": threshold},
        "candidates": candidates,
        "calibrator": calibrator,
        **parts,
        "conclusions": conclusions(parts, candidates, calibrator),
        "summary": summary(parts["holdout"]),
    }


def _evaluate_part(rows: pd.DataFrame, threshold: float, confidence_threshold: float, span: str) -> dict[str, Any]:
    is_win = (rows["outcome_label"] == "win").to_numpy(dtype=bool)
    spans = span_codes(rows["detected_at"], span)
    enough = is_enough(spans, is_win)
    resamples = Resamples.of_spans(spans)
    scores = {name: rows[name].to_numpy(dtype=np.float64) for name in SCORES}
    model = scores["calibrated"]
    areas = {name: resamples.auc(score, is_win) for name, score in scores.items()}
    placebo_win = rows["placebo_win"].to_numpy(bool)
    placebo = judge(resamples.auc(rows["placebo"].to_numpy(float), placebo_win), is_enough(spans, placebo_win), 0.5)
    per_symbol, within_symbol = _per_symbol(resamples, rows["symbol"].to_numpy(), spans, model, is_win)
    bullish = np.asarray(rows["direction"] == "bullish", dtype=np.float64)

    decided = (rows["outcome_label"] != "timeout").to_numpy(dtype=bool)
    win_or_loss = resamples.of_rows(decided).auc(model[decided], is_win[decided])
    return {
        "events": len(rows),
        "start": rows["detected_at"].min().isoformat(),
        "end": rows["detected_at"].max().isoformat(),
        "spans": len(set(spans)),
        "span": span,
        "class_counts": {name: int((rows["outcome_label"] == name).sum()) for name in OUTCOMES},
        "base_rate": judge(resamples.mean(is_win.astype(float)), enough),
        "auc": {**{name: judge(area, enough, 0.5) for name, area in areas.items()}, "placebo": placebo},
        "auc_above": {name: judge(areas["calibrated"] - areas[name], enough, 0.0) for name in BASELINES},
        "auc_win_vs_loss": judge(win_or_loss, is_enough(spans[decided], is_win[decided]), 0.5),
        "auc_direction_sign": judge(resamples.auc(bullish, is_win), enough, 0.5),
        "by_direction": {
            name: _of_direction(resamples, (rows["direction"] == name).to_numpy(bool), spans, model, is_win)
            for name in DIRECTIONS
        },
        "auc_within_symbol": within_symbol,
        **_losses(resamples, model, rows["constant"].to_numpy(dtype=np.float64), is_win, enough),
        "ece": judge(resamples.calibration_error(model, is_win), enough),
        "true_positives": _true_positives(resamples, scores, is_win, confidence_threshold, enough),
        "confirmed": _confirmed(resamples, scores, is_win, spans, threshold, confidence_threshold),
        "per_symbol": per_symbol,
    }


def _of_direction(
    resamples: Resamples, here: NDArray[np.bool_], spans: NDArray[np.int64], model: Floats, is_win: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return the base rate of one direction's events, and how well the model ranks among them."""
    wins, some = is_win[here], resamples.of_rows(here)
    enough = is_enough(spans[here], wins)
    return {
        "events": len(wins),
        "base_rate": judge(some.mean(wins.astype(float)), enough),
        "auc": judge(some.auc(model[here], wins), enough, 0.5),
    }


def _per_symbol(
    resamples: Resamples,
    symbols: NDArray[np.object_],
    spans: NDArray[np.int64],
    model: Floats,
    is_win: NDArray[np.bool_],
) -> tuple[list[dict[str, Any]], Figure]:
    """Return figures per symbol, and the mean AUC within the symbols that have enough events."""
    per_symbol, within = [], []
    for symbol in sorted(set(symbols)):
        of_symbol = symbols == symbol
        here, wins = resamples.of_rows(of_symbol), is_win[of_symbol]
        area = here.auc(model[of_symbol], wins)
        enough = is_enough(spans[of_symbol], wins)
        if enough:
            within.append(area)
        per_symbol.append(
            {
                "symbol": symbol,
                "events": len(wins),
                "base_rate": judge(here.mean(wins.astype(float)), enough),
                "auc": judge(area, enough, 0.5),
                "ece": judge(here.calibration_error(model[of_symbol], wins), enough),
            }
        )
    mean = _mean_of_defined(within) if within else np.full(1 + RESAMPLES, np.nan)
    return per_symbol, judge(mean, bool(within), 0.5)


def _mean_of_defined(areas: list[Floats]) -> Floats:
    """Return the mean over symbols, in every resample of those that have events of both kinds in it."""
    stacked = np.array(areas)
    return _quotient(np.nansum(stacked, axis=0), np.isfinite(stacked).sum(axis=0).astype(np.float64))


def _losses(
    resamples: Resamples, model: Floats, constant: Floats, is_win: NDArray[np.bool_], enough: bool
) -> dict[str, Figure]:
    """Compare Brier score and log loss with those of two constants.

    One is the base rate of the training data, which was known at the time. The other is the base rate of the
    very events, which nobody knew: what is gained over the first and not over the second is a shift of base rates.
    """
    own = resamples.mean(is_win.astype(float))
    brier = resamples.mean((model - is_win) ** 2)
    brier_constant = resamples.mean((constant - is_win) ** 2)
    loss = resamples.mean(log_losses(model, is_win))
    loss_constant = resamples.mean(log_losses(constant, is_win))
    inside = np.clip(own, 1e-15, 1 - 1e-15)
    loss_own = -own * np.log(inside) - (1 - own) * np.log1p(-inside)
    return {
        "brier": judge(brier, enough),
        "brier_skill": judge(1 - _quotient(brier, brier_constant), enough, 0.0),
        "brier_skill_own_base_rate": judge(1 - _quotient(brier, own * (1 - own)), enough, 0.0),
        "log_loss": judge(loss, enough),
        "log_loss_constant": judge(loss_constant, enough),
        "log_loss_own_base_rate": judge(loss_own, enough),
        "log_loss_skill": judge(1 - _quotient(loss, loss_constant), enough, 0.0),
        "log_loss_skill_own_base_rate": judge(1 - _quotient(loss, loss_own), enough, 0.0),
    }


def _true_positives(
    resamples: Resamples,
    scores: dict[str, Floats],
    is_win: NDArray[np.bool_],
    confidence_threshold: float,
    enough: bool,
) -> list[dict[str, Any]]:
    """Compare wins among equally many confirmations of model, rule and volatility."""
    total = resamples.weights.sum(axis=1)
    by_rule = resamples.weights @ (scores["rule_confidence"] >= confidence_threshold)
    cuts = [(f"top {share:.0%}", np.rint(share * total)) for share in SHARES]
    cuts.append((f"as many as the rule confirms at {confidence_threshold:g}", by_rule))
    table = []
    for name, count in cuts:
        wins = {
            score: resamples.wins_among_highest(scores[score], is_win, count)
            for score in ("calibrated", "blended", "rule_confidence", "volatility")
        }

        def ratio(above: str, below: str, wins: Mapping[str, Floats] = wins, events: float = float(count[0])) -> Figure:
            found = [float(wins[score][0]) for score in (above, below)]
            least = min(*found, *(events - won for won in found))
            return judge(_quotient(wins[above], wins[below]), enough and least >= LEAST_OF_EACH_CLASS, 1.0)

        table.append(
            {
                "confirmations": name,
                "events": int(count[0]),
                "wins_model": float(wins["calibrated"][0]),
                "wins_rule": float(wins["rule_confidence"][0]),
                "model_to_rule": ratio("calibrated", "rule_confidence"),
                "blended_to_rule": ratio("blended", "rule_confidence"),
                "model_to_volatility": ratio("calibrated", "volatility"),
            }
        )
    return table


def _confirmed(
    resamples: Resamples,
    scores: dict[str, Floats],
    is_win: NDArray[np.bool_],
    spans: NDArray[np.int64],
    threshold: float,
    confidence_threshold: float,
) -> list[dict[str, Any]]:
    """Count what each threshold confirms, and how often those events win."""
    cases = [
        ("rule_confidence", confidence_threshold),
        ("blended", confidence_threshold),
        ("rule_confidence", threshold),
        ("blended", threshold),
    ]
    base_rate = resamples.mean(is_win.astype(float))
    table = []
    for score, limit in cases:
        confirmed = scores[score] >= limit
        precision = _quotient(resamples.weights @ (confirmed & is_win), resamples.weights @ confirmed)
        enough = is_enough(spans[confirmed], is_win[confirmed])
        table.append(
            {
                "by": score,
                "threshold": limit,
                "events": int(confirmed.sum()),
                "wins": int((confirmed & is_win).sum()),
                "share": float(confirmed.mean()),
                "win_rate": judge(precision, enough),
                "above_base_rate": judge(precision - base_rate, enough, 0.0),
            }
        )
    return table


# ----------------------------------------------------------------------------------------------- conclusions


def conclusions(parts: dict[str, dict[str, Any]], candidates: int, calibrator: str) -> list[str]:
    """Say in words what the intervals show and what they do not."""
    sentences = []
    for part, figures in parts.items():
        where = "In walk-forward" if part == "walk_forward" else "On the holdout"
        sentences += _ranking(where, figures)
        if _verdict(figures["auc"]["calibrated"]) != TOO_FEW:
            sentences += _directions(where, figures)
            sentences += _against_baselines(where, figures)
            sentences += _probabilities(where, figures)
            sentences += _equal_confirmations(where, figures)
        sentences += _confirmations(where, figures)
    sentences.append(_choices(candidates))
    sentences.append(describe_calibrator(calibrator))
    sentences.append(NO_CLAIM)
    return sentences


def summary(holdout: dict[str, Any]) -> list[str]:
    """Say in five sentences at most what the holdout shows."""
    where = "On the holdout"
    if _verdict(holdout["auc"]["calibrated"]) == TOO_FEW:
        return [_too_few(where, holdout), NO_CLAIM]
    within, _, decided = _directions(where, holdout)
    gain, skill = holdout["auc_above"]["volatility"], holdout["brier_skill_own_base_rate"]
    return [
        _ranking_verdict(where, holdout),
        within,
        decided,
        f"{where}, its AUC is {_against(gain)} that of volatility alone ({_gain(gain)}), and its probabilities are "
        f"{_goodness(_skill_verdict(holdout, '_own_base_rate'))} always saying the period's own base rate (Brier "
        f"skill {shown(skill)}).",
        NO_CLAIM,
    ]


def not_shown(holdout: dict[str, Any]) -> list[str]:
    """Say what the holdout does not show: a sentence for each claim that its intervals do not bear out."""
    where = "On the holdout"
    if _verdict(holdout["auc"]["calibrated"]) == TOO_FEW:
        return [_too_few(where, holdout)]
    sentences = []
    if _verdict(holdout["auc"]["calibrated"]) != ABOVE:
        sentences.append(_ranking_verdict(where, holdout))
    within, _, decided = _directions(where, holdout)
    if any(_verdict(found["auc"]) != ABOVE for found in holdout["by_direction"].values()):
        sentences.append(within)
    if _verdict(holdout["auc_win_vs_loss"]) != ABOVE:
        sentences.append(decided)
    for score, name in BASELINES.items():
        gain = holdout["auc_above"][score]
        if _verdict(gain) != ABOVE:
            sentences.append(f"{where}, its AUC is {_against(gain)} that of {name} ({_gain(gain)}).")
    if _skill_verdict(holdout, "_own_base_rate") != ABOVE:
        sentences += _probabilities(where, holdout)
    return sentences


def describe_calibrator(method: str) -> str:
    """Say in a sentence what the calibrator does."""
    if method == "identity":
        return "The calibrator is identity, that is, none: the probabilities are the model's own."
    return f"The calibrator is {method}, fitted on the walk-forward predictions."


def _choices(candidates: int) -> str:
    chosen = "the calibrator and the threshold"
    if candidates > 1:
        chosen = f"the model (among {candidates} candidates), the calibrator and the threshold"
    return (
        f"The walk-forward figures are the ones by which {chosen} were chosen, and so are optimistic; the fit used "
        "the holdout for no choice."
    )


def _too_few(where: str, figures: dict[str, Any]) -> str:
    return (
        f"{where}, there are {figures['events']:,} events, of which {figures['class_counts']['win']:,} won, in "
        f"{figures['spans']} {figures['span']}s: {TOO_FEW} (needed are {LEAST_SPANS} {figures['span']}s, and "
        f"{LEAST_OF_EACH_CLASS} events of each class)."
    )


def _ranking(where: str, figures: dict[str, Any]) -> list[str]:
    area, placebo = figures["auc"]["calibrated"], figures["auc"]["placebo"]
    if _verdict(area) == TOO_FEW:
        return [_too_few(where, figures)]
    sentences = []
    if figures["spans"] < FEW_SPANS:
        sentences.append(
            f"{where}, there are only {figures['spans']} {figures['span']}s to draw from: its intervals are "
            "rough, and of twenty claims one may be chance."
        )
    sentences.append(_ranking_verdict(where, figures))
    if area["value"] > SUSPICIOUS_AUC:
        sentences.append(
            f"An AUC above {SUSPICIOUS_AUC} on real bars is too good: look for a leak before believing it."
        )
    if placebo["low"] is not None and (
        placebo["low"] > 0.5 + PLACEBO_TOLERANCE or placebo["high"] < 0.5 - PLACEBO_TOLERANCE
    ):
        sentences.append(
            f"{where}, the same fit on randomly dealt outcomes has an AUC of {shown(placebo)}, which "
            "should include 0.5: distrust the figures."
        )
    return sentences


def _ranking_verdict(where: str, figures: dict[str, Any]) -> str:
    area = figures["auc"]["calibrated"]
    verdict = _goodness(_verdict(area))
    return f"{where}, the model's AUC is {shown(area)} on {figures['events']:,} events: {verdict} chance."


def _directions(where: str, figures: dict[str, Any]) -> tuple[str, str, str]:
    """Say how it ranks within each direction, what the direction alone tells, and whether it tells wins from losses."""
    within = []
    for name, found in figures["by_direction"].items():
        verdict = _verdict(found["auc"])
        if verdict == TOO_FEW:
            within.append(f"within {name} events rests on {TOO_FEW}")
        else:
            within.append(f"within {name} events is {_goodness(verdict)} chance (AUC {shown(found['auc'])})")
    sign, decided = figures["auc_direction_sign"], figures["auc_win_vs_loss"]
    by_sign = {
        ABOVE: "bullish events won more often",
        BELOW: "bearish events won more often",
        NOT_SHOWN: "neither is shown to have won more often",
    }
    if _verdict(decided) == TOO_FEW:
        of_decided = f"{where}, without the timeouts there are {TOO_FEW}."
    else:
        tells = {
            ABOVE: "better than chance at telling which barrier comes first",
            BELOW: "worse than chance at telling which barrier comes first",
            NOT_SHOWN: "not shown to tell which barrier comes first",
        }[_verdict(decided)]
        of_decided = f"{where}, its AUC for wins against losses, timeouts left out, is {shown(decided)}: {tells}."
    return (
        f"{where}, its ranking {_and(within)}.",
        f"{where}, the direction alone, bullish above bearish, has an AUC of {shown(sign)}: {by_sign[_verdict(sign)]}.",
        of_decided,
    )


def _against_baselines(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    for wanted in (ABOVE, NOT_SHOWN, BELOW):
        gains = {name: figures["auc_above"][score] for score, name in BASELINES.items()}
        found = [f"{name} ({_gain(gain)})" for name, gain in gains.items() if _verdict(gain) == wanted]
        if found:
            sentences.append(f"{where}, its AUC is {_against({'verdict': wanted})} that of {_and(found)}.")
    return sentences


def _probabilities(where: str, figures: dict[str, Any]) -> list[str]:
    def against(constant: str) -> str:
        brier, loss = figures[f"brier_skill{constant}"], figures[f"log_loss_skill{constant}"]
        return f"(Brier skill {shown(brier)}, log-loss skill {shown(loss)})"

    learnt, own = _skill_verdict(figures, ""), _skill_verdict(figures, "_own_base_rate")
    if learnt == own == ABOVE:
        sentence = (
            f"{where}, its probabilities are better than always saying the base rate, both that of the training "
            f"data {against('')} and the period's own {against('_own_base_rate')}"
        )
    else:
        sentence = (
            f"{where}, its probabilities are {_goodness(learnt)} always saying the training data's base rate "
            f"{against('')}, and {_goodness(own)} always saying the period's own, {shown(figures['base_rate'])} "
            f"{against('_own_base_rate')}"
        )
    sentences = [f"{sentence}."]
    if learnt == ABOVE and own != ABOVE:
        sentences.append(f"{where}, what they gain on the former may be no more than a shift of the base rate.")
    sentences.append(f"{where}, the calibration error is {shown(figures['ece'])}.")
    return sentences


def _skill_verdict(figures: dict[str, Any], constant: str) -> str:
    """Return the verdict on which Brier score and log loss agree."""
    verdicts = {_verdict(figures[f"{loss}_skill{constant}"]) for loss in ("brier", "log_loss")}
    return verdicts.pop() if len(verdicts) == 1 else NOT_SHOWN


def _equal_confirmations(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    for cut in figures["true_positives"][: len(SHARES)]:
        for ratio, name in (("model_to_rule", "the rule's"), ("model_to_volatility", "volatility's")):
            found = cut[ratio]
            said = f"{where}, its {cut['confirmations']} hold {shown(found, 2)} times the wins of {name}"
            verdict = _verdict(found)
            if verdict == TOO_FEW:
                said = f"{where}, of wins among its {cut['confirmations']} and {name} there are {TOO_FEW}"
            elif verdict != ABOVE:
                said += ": fewer" if verdict == BELOW else ": not shown to be more"
            elif found["low"] >= TRUE_POSITIVE_GOAL:
                said += f": at least {TRUE_POSITIVE_GOAL - 1:.0%} more"
            else:
                said += f": more, though a gain of {TRUE_POSITIVE_GOAL - 1:.0%} is not certain"
            sentences.append(f"{said}.")
    return sentences


def _confirmations(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    in_use, recommended = figures["confirmed"][:2], figures["confirmed"][2:]
    for name, cases in (("", in_use), ("the recommended ", recommended)):
        said = [
            f"{who} confirms {case['events']:,} events ({case['share']:.0%}){_won(case)}"
            for who, case in zip(("the rule alone", "the blend"), cases, strict=True)
        ]
        sentences.append(f"{where}, at {name}{cases[0]['threshold']:.3f} {'; '.join(said)}.")
    return sentences


def _won(case: dict[str, Any]) -> str:
    """Say how many of the confirmed events won, beside the base rate."""
    if not case["events"]:
        return ""
    if _verdict(case["win_rate"]) == TOO_FEW:
        return f", of which {case['wins']:,} won ({case['win_rate']['value']:.2f}; {TOO_FEW})"
    than = {ABOVE: "above", BELOW: "below", NOT_SHOWN: "not shown to differ from"}[_verdict(case["above_base_rate"])]
    return f", of which {shown(case['win_rate'], 2)} won: {than} the base rate"


def _verdict(figure: Mapping[str, Any]) -> str:
    return str(figure.get("verdict"))


def _goodness(verdict: str) -> str:
    return {ABOVE: "better than", BELOW: "worse than"}.get(verdict, "not shown to be better than")


def _against(gain: Mapping[str, Any]) -> str:
    return {ABOVE: "above", BELOW: "below"}.get(_verdict(gain), "not shown to be above")


def shown(figure: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Return a figure with its interval, for people."""
    if figure is None or figure.get("verdict") == TOO_FEW:
        return TOO_FEW
    if figure["value"] is None:
        return "undefined"
    return f"{figure['value']:.{digits}f} {_range(figure, digits)}".strip()


def _gain(figure: Mapping[str, Any]) -> str:
    return f"{figure['value']:+.3f} {_range(figure)}".strip()


def _range(figure: Mapping[str, Any], digits: int = 3) -> str:
    if figure["low"] is None or figure["high"] is None:
        return ""
    return f"[{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# ----------------------------------------------------------------------------------------------- the folder


def evaluate_folder(folder: Path) -> dict[str, Any]:
    """Evaluate the predictions that a fit left in a folder, and write ``evaluation.json`` there.

    Raises:
        UserError: the folder holds no fit.
    """
    try:
        description = json.loads((folder / "dataset.json").read_text())
        predictions = pd.read_csv(folder / "predictions.csv.gz", parse_dates=["detected_at"])
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {Path(error.filename).name}: run `trainer fit` first.") from None
    if "direction" not in predictions:
        raise UserError(f"{folder} was fitted by an earlier version of the trainer: run `trainer fit` again.")
    figures = evaluate(
        predictions,
        threshold=description["recommended_threshold"]["value"],
        candidates=len(description["champion"]["candidates"]),
        calibrator=description["calibrator"]["method"],
        confidence_threshold=description["configuration"]["confidence_threshold"],
        span=description["span"],
    )
    evaluation = {"version": description["version"], "champion": description["champion"]["name"], **figures}
    ModelFolder(folder).write_json("evaluation.json", evaluation)
    return evaluation


def stored_evaluation(folder: Path) -> dict[str, Any] | None:
    """Return the evaluation of a released model, whose folder holds nothing to compute it from; None for others."""
    if any((folder / name).exists() for name in ("dataset.json", "predictions.csv.gz")):
        return None
    if not (folder / "evaluation.json").exists():
        return None
    return ModelFolder(folder).read_json("evaluation.json", "fit")


def print_evaluation(evaluation: dict[str, Any], console: Console | None = None, *, brief: bool = False) -> None:
    """Print the figures as a table, and the conclusions; in brief, the main figures and the summary."""
    console = console or Console()
    console.print(f"{evaluation['version']}: {evaluation['champion']}, {evaluation['target']}", highlight=False)
    parts = [evaluation["walk_forward"], evaluation["holdout"]]
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("")
    for name, figures in zip(("walk-forward", "holdout"), parts, strict=True):
        table.add_column(f"{name}\n{figures['start'][:7]} to {figures['end'][:7]}")

    def row(name: str, *values: str) -> None:
        table.add_row(name, *values)

    def figure_row(name: str, key: str) -> None:
        # An evaluation that was stored by an earlier version lacks some.
        if all(key in part for part in parts):
            row(name, *(shown(part[key]) for part in parts))

    row("used for choices", "yes", "no")
    row("events", *(f"{part['events']:,}" for part in parts))
    row(
        "win / loss / timeout",
        *(" / ".join(f"{n:,}" for n in part["class_counts"].values()) for part in parts),
    )
    figure_row("base rate", "base_rate")
    for score, name in {**SCORES, "placebo": "placebo (random outcomes)"}.items():
        row(f"AUC {name}", *(shown(part["auc"][score]) for part in parts))
    for name in DIRECTIONS:
        if all("by_direction" in part for part in parts):
            row(f"AUC within {name}", *(shown(part["by_direction"][name]["auc"]) for part in parts))
    figure_row("AUC win against loss", "auc_win_vs_loss")
    figure_row("AUC direction alone", "auc_direction_sign")
    skills = {"brier_skill": "brier skill, training rate", "brier_skill_own_base_rate": "brier skill, own base rate"}
    if brief:
        for key, name in {**skills, "ece": "calibration error"}.items():
            figure_row(name, key)
        for position, cut in enumerate(parts[0]["true_positives"][: len(SHARES)]):
            ratios = (part["true_positives"][position]["model_to_rule"] for part in parts)
            row(f"wins vs rule, {cut['confirmations']}", *(shown(ratio, 2) for ratio in ratios))
        console.print(table)
        for sentence in evaluation.get("summary") or evaluation["conclusions"][-1:]:
            console.print(sentence, highlight=False)
        return
    for score, name in BASELINES.items():
        row(f"AUC above {name.removeprefix('the ')}", *(_gain_cell(part["auc_above"][score]) for part in parts))
    figure_row("AUC within symbol", "auc_within_symbol")
    for symbol in sorted({item["symbol"] for part in parts for item in part["per_symbol"]}):
        by_symbol = ({item["symbol"]: item for item in part["per_symbol"]}.get(symbol) for part in parts)
        row(f"AUC {symbol}", *(shown(item["auc"]) if item else "-" for item in by_symbol))
    figure_row("brier", "brier")
    for key, name in skills.items():
        figure_row(name, key)
    figure_row("log loss", "log_loss")
    figure_row("log loss, training rate", "log_loss_constant")
    figure_row("log loss, own base rate", "log_loss_own_base_rate")
    figure_row("log-loss skill, training rate", "log_loss_skill")
    figure_row("log-loss skill, own base rate", "log_loss_skill_own_base_rate")
    figure_row("calibration error", "ece")
    for position, cut in enumerate(parts[0]["true_positives"]):
        for ratio, name in (("model_to_rule", "rule"), ("model_to_volatility", "volatility")):
            cells = (shown(part["true_positives"][position][ratio], 2) for part in parts)
            row(f"wins vs {name}, {cut['confirmations']}", *cells)
    for position, case in enumerate(parts[0]["confirmed"]):
        found = [part["confirmed"][position] for part in parts]
        row(f"{SCORES[case['by']]} >= {case['threshold']:.3f}", *(_confirmed_cell(item) for item in found))
    console.print(table)
    for sentence in evaluation["conclusions"]:
        console.print(f"- {sentence}", highlight=False)


def _gain_cell(gain: Mapping[str, Any]) -> str:
    return TOO_FEW if _verdict(gain) == TOO_FEW else _gain(gain)


def _confirmed_cell(case: Mapping[str, Any]) -> str:
    if _verdict(case["win_rate"]) == TOO_FEW:
        return f"{case['events']:,}, {case['wins']:,} won: {TOO_FEW}"
    return f"{case['events']:,}, won {shown(case['win_rate'], 2)}"


def evaluate_command(
    model: ModelArgument = None,
    as_json: AsJson = False,
) -> None:
    """Say what a fitted model is worth on events it had not seen, beside what costs nothing."""
    folder = find_model(model).path
    stored = stored_evaluation(folder)
    evaluation = stored or evaluate_folder(folder)
    if as_json:
        typer.echo(json.dumps(evaluation))
        return
    if stored:
        typer.echo(f"{folder.name}, as evaluated before its release:")
    print_evaluation(evaluation)
