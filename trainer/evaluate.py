"""Stage 4 of a model's way: what the predictions of unseen events are worth, beside what costs nothing.

Everything is computed twice, on the walk-forward predictions and on the holdout, with 95 % intervals from a
bootstrap over calendar months (weeks for intraday bars): all events of a month move together, which covers
overlapping outcomes and symbols that follow one market. Costs and slippage are not in any figure.
"""

from __future__ import annotations

import json
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
LEAST_EVENTS_PER_SYMBOL = 50
TRUE_POSITIVE_GOAL = 1.10
SUSPICIOUS_AUC = 0.66
PLACEBO_TOLERANCE = 0.02
FEW_SPANS = 36

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


def interval(values: Floats) -> dict[str, float | None]:
    """Return the sample's value and the 2.5 % and 97.5 % quantiles of the resamples; None where undefined."""
    resampled = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (np.nan, np.nan)
    named = {"value": values[0], "low": low, "high": high}
    return {name: float(value) if np.isfinite(value) else None for name, value in named.items()}


def evaluate(
    predictions: pd.DataFrame, *, threshold: float, confidence_threshold: float = 0.55, span: str = "month"
) -> dict[str, Any]:
    """Evaluate predictions of events that the model had not seen (the table that ``trainer.fit`` makes).

    Args:
        predictions: see ``trainer.fit.FitResult.predictions``.
        threshold: the recommended threshold for the blended confidence.
        confidence_threshold: the threshold in use, for the rule's confidence as well.
        span: what the bootstrap draws as a whole, ``month`` or ``week``.

    Returns JSON: ``walk_forward`` and ``holdout``, each with the figures, and ``conclusions``, sentences that
    follow from the intervals.
    """
    parts = {}
    for part in ("walk_forward", "holdout"):
        rows = predictions[predictions["part"] == part].reset_index(drop=True)
        parts[part] = _evaluate_part(rows, threshold, confidence_threshold, span)
    return {
        "interval": f"95 %, bootstrap over calendar {span}s, {RESAMPLES} resamples",
        "target": "win against loss and timeout",
        "thresholds": {"in_use": confidence_threshold, "recommended": threshold},
        **parts,
        "conclusions": conclusions(parts),
    }


def _evaluate_part(rows: pd.DataFrame, threshold: float, confidence_threshold: float, span: str) -> dict[str, Any]:
    is_win = (rows["outcome_label"] == "win").to_numpy(dtype=bool)
    spans = span_codes(rows["detected_at"], span)
    resamples = Resamples.of_spans(spans)
    scores = {name: rows[name].to_numpy(dtype=np.float64) for name in SCORES}
    model, constant = scores["calibrated"], rows["constant"].to_numpy(dtype=np.float64)
    areas = {name: resamples.auc(score, is_win) for name, score in scores.items()}
    placebo = resamples.auc(rows["placebo"].to_numpy(float), rows["placebo_win"].to_numpy(bool))

    brier = resamples.mean((model - is_win) ** 2)
    brier_constant = resamples.mean((constant - is_win) ** 2)
    symbols = rows["symbol"].to_numpy()
    per_symbol, within = [], []
    for symbol in sorted(set(symbols)):
        of_symbol = symbols == symbol
        here, wins = resamples.of_rows(of_symbol), is_win[of_symbol]
        area = here.auc(model[of_symbol], wins)
        if len(wins) >= LEAST_EVENTS_PER_SYMBOL and 0 < wins.sum() < len(wins):
            within.append(area)
        per_symbol.append(
            {
                "symbol": symbol,
                "events": len(wins),
                "base_rate": interval(here.mean(wins.astype(float))),
                "auc": interval(area),
                "ece": interval(here.calibration_error(model[of_symbol], wins)),
            }
        )
    return {
        "events": len(rows),
        "start": rows["detected_at"].min().isoformat(),
        "end": rows["detected_at"].max().isoformat(),
        "spans": len(set(spans)),
        "span": span,
        "class_counts": {name: int((rows["outcome_label"] == name).sum()) for name in OUTCOMES},
        "base_rate": interval(resamples.mean(is_win.astype(float))),
        "auc": {**{name: interval(area) for name, area in areas.items()}, "placebo": interval(placebo)},
        "auc_above": {
            name: interval(areas["calibrated"] - areas[name]) for name in ("rule_confidence", "prior", "volatility")
        },
        "auc_within_symbol": interval(_mean_of_defined(within)) if within else None,
        "brier": interval(brier),
        "brier_skill": interval(1 - brier / brier_constant),
        "log_loss": interval(resamples.mean(log_losses(model, is_win))),
        "log_loss_constant": interval(resamples.mean(log_losses(constant, is_win))),
        "ece": interval(resamples.calibration_error(model, is_win)),
        "true_positives": _true_positives(resamples, scores, is_win, confidence_threshold),
        "confirmed": _confirmed(resamples, scores, is_win, threshold, confidence_threshold),
        "per_symbol": per_symbol,
    }


def _mean_of_defined(areas: list[Floats]) -> Floats:
    """Return the mean over symbols, in every resample of those that have events of both kinds in it."""
    stacked = np.array(areas)
    return _quotient(np.nansum(stacked, axis=0), np.isfinite(stacked).sum(axis=0).astype(np.float64))


def _true_positives(
    resamples: Resamples, scores: dict[str, Floats], is_win: NDArray[np.bool_], confidence_threshold: float
) -> list[dict[str, Any]]:
    """Compare wins among equally many confirmations of model, rule and volatility."""
    total = resamples.weights.sum(axis=1)
    by_rule = resamples.weights @ (scores["rule_confidence"] >= confidence_threshold)
    cuts = [(f"top {share:.0%}", share * total) for share in SHARES]
    cuts.append((f"as many as the rule confirms at {confidence_threshold:g}", by_rule))
    table = []
    for name, count in cuts:
        wins = {
            score: resamples.wins_among_highest(scores[score], is_win, count)
            for score in ("calibrated", "blended", "rule_confidence", "volatility")
        }
        ratios = {
            "model_to_rule": interval(_quotient(wins["calibrated"], wins["rule_confidence"])),
            "blended_to_rule": interval(_quotient(wins["blended"], wins["rule_confidence"])),
            "model_to_volatility": interval(_quotient(wins["calibrated"], wins["volatility"])),
        }
        table.append(
            {
                "confirmations": name,
                "events": round(float(count[0])),
                "wins_model": float(wins["calibrated"][0]),
                "wins_rule": float(wins["rule_confidence"][0]),
                **ratios,
            }
        )
    return table


def _confirmed(
    resamples: Resamples,
    scores: dict[str, Floats],
    is_win: NDArray[np.bool_],
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
    table = []
    for score, limit in cases:
        confirmed = scores[score] >= limit
        precision = _quotient(resamples.weights @ (confirmed & is_win), resamples.weights @ confirmed)
        table.append(
            {
                "by": score,
                "threshold": limit,
                "events": int(confirmed.sum()),
                "share": float(confirmed.mean()),
                "win_rate": interval(precision),
            }
        )
    return table


# ----------------------------------------------------------------------------------------------- conclusions


def conclusions(parts: dict[str, dict[str, Any]]) -> list[str]:
    """Say in words what the intervals show and what they do not."""
    sentences = []
    for part, figures in parts.items():
        where = "In walk-forward" if part == "walk_forward" else "On the holdout"
        if figures["spans"] < FEW_SPANS:
            sentences.append(
                f"{where}, there are only {figures['spans']} {figures['span']}s to draw from: its intervals are "
                "rough, and of twenty claims one may be chance."
            )
        sentences += _ranking(where, figures)
        sentences += _against_baselines(where, figures)
        sentences += _probabilities(where, figures)
        sentences += _confirmations(where, figures)
    sentences.append(
        "The model ranks events by the chance of a large enough favourable move in time; most of what it "
        "knows is volatility. It does not predict direction, and nothing here says that trading on it earns "
        "money: costs and slippage are not included."
    )
    return sentences


def _ranking(where: str, figures: dict[str, Any]) -> list[str]:
    area, placebo = figures["auc"]["calibrated"], figures["auc"]["placebo"]
    said = f"{where}, the model's AUC is {_shown(area)} on {figures['events']:,} events"
    if area["low"] is not None and area["low"] > 0.5:
        sentences = [f"{said}: better than chance."]
    else:
        sentences = [f"{said}: not shown to be better than chance."]
    if area["value"] is not None and area["value"] > SUSPICIOUS_AUC:
        sentences.append(
            f"An AUC above {SUSPICIOUS_AUC} on real bars is too good: look for a leak before believing it."
        )
    if placebo["low"] is not None and (
        placebo["low"] > 0.5 + PLACEBO_TOLERANCE or placebo["high"] < 0.5 - PLACEBO_TOLERANCE
    ):
        sentences.append(
            f"{where}, the same fit on randomly dealt outcomes has an AUC of {_shown(placebo)}, which "
            "should include 0.5: distrust the figures."
        )
    return sentences


def _against_baselines(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    names = {
        "rule_confidence": "the rule score",
        "prior": "the pattern prior",
        "volatility": "volatility alone",
    }
    better = [name for score, name in names.items() if (figures["auc_above"][score]["low"] or 0) > 0]
    equal = [
        f"{name} ({figures['auc_above'][score]['value']:+.3f} {_range(figures['auc_above'][score])})"
        for score, name in names.items()
        if name not in better
    ]
    if better:
        sentences.append(f"{where}, its AUC is above that of {_and(better)}.")
    if equal:
        sentences.append(f"{where}, its AUC is not shown to be above that of {_and(equal)}.")
    return sentences


def _probabilities(where: str, figures: dict[str, Any]) -> list[str]:
    skill, error = figures["brier_skill"], figures["ece"]
    if skill["low"] is not None and skill["low"] > 0:
        verdict = "better than always saying the base rate"
    elif skill["high"] is not None and skill["high"] < 0:
        verdict = "worse than always saying the base rate"
    else:
        verdict = "not shown to be better than always saying the base rate"
    return [
        f"{where}, its probabilities are {verdict} (Brier skill {_shown(skill)}); the calibration error "
        f"is {_shown(error)}."
    ]


def _confirmations(where: str, figures: dict[str, Any]) -> list[str]:
    sentences = []
    for cut in figures["true_positives"][: len(SHARES)]:
        ratio = cut["model_to_rule"]
        said = f"{where}, its {cut['confirmations']} hold {_shown(ratio, 2)} times the wins of the rule's"
        if ratio["low"] is None or ratio["low"] <= 1:
            sentences.append(f"{said}: not shown to be more.")
        elif ratio["low"] >= TRUE_POSITIVE_GOAL:
            sentences.append(f"{said}: at least {TRUE_POSITIVE_GOAL - 1:.0%} more.")
        else:
            sentences.append(f"{said}: more, though a gain of {TRUE_POSITIVE_GOAL - 1:.0%} is not certain.")
    rule, blended, _, recommended = figures["confirmed"]
    sentences.append(
        f"{where}, the rule alone confirms {rule['events']:,} events ({rule['share']:.0%}) at "
        f"{rule['threshold']:.2f}, the blend {blended['events']:,} ({blended['share']:.0%}); at the "
        f"recommended {recommended['threshold']:.3f} the blend confirms {recommended['events']:,} "
        f"({recommended['share']:.0%}), of which {_shown(recommended['win_rate'], 2)} win."
    )
    return sentences


def _shown(figure: dict[str, float | None], digits: int = 3) -> str:
    if figure["value"] is None:
        return "undefined"
    return f"{figure['value']:.{digits}f} {_range(figure, digits)}".strip()


def _range(figure: dict[str, float | None], digits: int = 3) -> str:
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
    figures = evaluate(
        predictions,
        threshold=description["recommended_threshold"]["value"],
        confidence_threshold=description["configuration"]["confidence_threshold"],
        span=description["span"],
    )
    evaluation = {"version": description["version"], "champion": description["champion"]["name"], **figures}
    ModelFolder(folder).write_json("evaluation.json", evaluation)
    return evaluation


def print_evaluation(evaluation: dict[str, Any], console: Console | None = None, *, brief: bool = False) -> None:
    """Print the figures as a table, and the conclusions; in brief, the main figures and the last conclusion."""
    console = console or Console()
    console.print(f"{evaluation['version']}: {evaluation['champion']}, {evaluation['target']}", highlight=False)
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("")
    for part in ("walk_forward", "holdout"):
        figures = evaluation[part]
        table.add_column(f"{part.replace('_', '-')}\n{figures['start'][:7]} to {figures['end'][:7]}")

    def row(name: str, *values: str) -> None:
        table.add_row(name, *values)

    parts = [evaluation["walk_forward"], evaluation["holdout"]]
    row("events", *(f"{part['events']:,}" for part in parts))
    row(
        "win / loss / timeout",
        *(" / ".join(f"{n:,}" for n in part["class_counts"].values()) for part in parts),
    )
    row("base rate", *(_shown(part["base_rate"]) for part in parts))
    for score, name in {**SCORES, "placebo": "placebo (random outcomes)"}.items():
        row(f"AUC {name}", *(_shown(part["auc"][score]) for part in parts))
    if brief:
        row("Brier skill", *(_shown(part["brier_skill"]) for part in parts))
        row("calibration error", *(_shown(part["ece"]) for part in parts))
        for position, cut in enumerate(parts[0]["true_positives"][: len(SHARES)]):
            ratios = (part["true_positives"][position]["model_to_rule"] for part in parts)
            row(f"wins vs rule, {cut['confirmations']}", *(_shown(ratio, 2) for ratio in ratios))
        console.print(table)
        console.print(evaluation["conclusions"][-1], highlight=False)
        return
    row("AUC within symbol", *(_shown(part["auc_within_symbol"] or {"value": None}) for part in parts))
    for symbol in sorted({item["symbol"] for part in parts for item in part["per_symbol"]}):
        by_symbol = ({item["symbol"]: item for item in part["per_symbol"]}.get(symbol) for part in parts)
        row(f"AUC {symbol}", *(_shown(item["auc"]) if item else "-" for item in by_symbol))
    for name in ("brier", "brier_skill", "log_loss", "log_loss_constant", "ece"):
        row(name.replace("_", " "), *(_shown(part[name]) for part in parts))
    for position, cut in enumerate(parts[0]["true_positives"]):
        for ratio, name in (("model_to_rule", "rule"), ("model_to_volatility", "volatility")):
            cells = (_shown(part["true_positives"][position][ratio], 2) for part in parts)
            row(f"wins vs {name}, {cut['confirmations']}", *cells)
    for position, case in enumerate(parts[0]["confirmed"]):
        found = [part["confirmed"][position] for part in parts]
        cells = (f"{item['events']:,}, win {_shown(item['win_rate'], 2)}" for item in found)
        row(f"{SCORES[case['by']]} >= {case['threshold']:.3f}", *cells)
    console.print(table)
    for sentence in evaluation["conclusions"]:
        console.print(f"- {sentence}", highlight=False)


def evaluate_command(
    model: ModelArgument = None,
    as_json: AsJson = False,
) -> None:
    """Say what a fitted model is worth on events it had not seen, beside what costs nothing."""
    evaluation = evaluate_folder(find_model(model).path)
    if as_json:
        typer.echo(json.dumps(evaluation))
    else:
        print_evaluation(evaluation)
