"""Every figure of an evaluation, beside the baselines: JSON from a table of predictions.

Everything is computed twice, on the walk-forward predictions and on the holdout. Figures of too few events get no
interval and no verdict. Costs and slippage are not in any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from trainer.calibration import Floats
from trainer.dataset import OUTCOMES
from trainer.evaluation.bootstrap import (
    LEAST_OF_EACH_CLASS,
    LEAST_SPANS,
    RESAMPLES,
    Bools,
    Figure,
    Resamples,
    is_enough,
    judge,
    quotient,
)
from trainer.evaluation.checks import goals, leak_checks
from trainer.evaluation.conclusions import claims, conclusions, headline, notes, summary
from trainer.evaluation.curves import ranking_curves, reliability
from trainer.evaluation.holdout_record import HoldoutUses
from trainer.evaluation.names import BASELINES, DIRECTIONS, KINDS, SCORES, win_against
from trainer.metrics import log_losses, span_codes

SHARES = (0.3, 0.1)
"""Shares of the events, confirmed by their score, at which wins are compared with the rule's."""
CURVE_SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8)
PROBABILITIES = ("calibrated", "blended", "rule_confidence", "prior", "constant")
"""Scores between 0 and 1, of which Brier score, log loss and calibration error exist."""


def evaluate(
    predictions: pd.DataFrame,
    *,
    threshold: float,
    candidates: int,
    calibrator: str,
    confidence_threshold: float = 0.55,
    span: str = "month",
    label: str = "TB2",
    label_kind: str | None = None,
    checks: Sequence[dict[str, Any]] = (),
    uses: HoldoutUses | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Evaluate predictions of events that the model had not seen (the table that ``trainer.fit`` makes).

    Args:
        predictions: see ``trainer.fit.FitResult.predictions``.
        threshold: the recommended threshold for the blended confidence.
        candidates: the number of candidates that the model was chosen among.
        calibrator: the method of the calibrator.
        confidence_threshold: the threshold in use, for the rule's confidence as well.
        span: what the bootstrap draws as a whole, ``month`` or ``week``.
        label: the name of the label, on which it depends what is too good to be true.
        label_kind: the kind of its definition, for a label that is not one of ours.
        checks: further checks for leaks, which need more than the predictions.
        uses: how often the holdout was looked at before; None if that is not known.
        resamples: how many samples of the months or weeks the intervals come from.

    Returns JSON: ``walk_forward`` and ``holdout``, each with the figures; ``headline``, ``claims``, ``conclusions``
    and ``summary``, which follow from them; ``goals``, ``leak_checks`` and ``notes``.
    """
    parts = {}
    # One thread: sums in one order, and the matrices are small.
    with threadpool_limits(limits=1):
        for part in ("walk_forward", "holdout"):
            rows = predictions[predictions["part"] == part].reset_index(drop=True)
            parts[part] = _Part(rows, threshold, confidence_threshold, span, resamples).figures()
    checks = [*leak_checks(parts, label), *checks]
    closing = notes(candidates, calibrator, uses)
    return {
        "interval": f"95 %, bootstrap over calendar {span}s, {resamples} resamples",
        "least": {"spans": LEAST_SPANS, "events_of_each_class": LEAST_OF_EACH_CLASS},
        "label": label,
        "label_kind": label_kind or KINDS.get(label),
        "target": win_against(label, label_kind, _counted(parts)),
        "thresholds": {"in_use": confidence_threshold, "recommended": threshold},
        "candidates": candidates,
        "calibrator": calibrator,
        **parts,
        "headline": headline(parts["holdout"], label, checks, label_kind),
        "claims": claims(parts),
        "goals": goals(parts["holdout"], label),
        "leak_checks": checks,
        "holdout_uses": None if uses is None else {**asdict(uses), "sentence": uses.sentence()},
        "conclusions": [*conclusions(parts, checks), *closing],
        "notes": closing,
        "summary": summary(parts["holdout"]),
    }


def _counted(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {name: sum(part["class_counts"][name] for part in parts.values()) for name in OUTCOMES}


@dataclass(frozen=True, eq=False)
class _Group:
    """Some of the events with what figures need of them."""

    resamples: Resamples
    spans: NDArray[np.int64]
    is_win: Bools
    scores: Mapping[str, Floats]

    def of_rows(self, rows: Bools) -> _Group:
        scores = {name: score[rows] for name, score in self.scores.items()}
        return _Group(self.resamples.of_rows(rows), self.spans[rows], self.is_win[rows], scores)

    @property
    def enough(self) -> bool:
        return is_enough(self.spans, self.is_win)

    def auc(self, score: str) -> Floats:
        return self.resamples.auc(self.scores[score], self.is_win)

    def base_rate(self) -> Figure:
        return judge(self.resamples.mean(self.is_win), self.enough)

    def counts(self) -> dict[str, int]:
        return {"events": len(self.is_win), "wins": int(self.is_win.sum())}

    def wins_at(self, score: str, counts: Floats) -> Floats:
        return self.resamples.wins_among_highest(self.scores[score], self.is_win, counts)

    def ratio(self, above: Floats, below: Floats, events: float) -> Figure:
        """Judge the ratio of the wins of two scores that confirm equally many events."""
        found = float(above[0]), float(below[0])
        least = min(*found, *(events - won for won in found))
        return judge(quotient(above, below), self.enough and least >= LEAST_OF_EACH_CLASS, 1.0)

    def summary(self) -> dict[str, Any]:
        """Return the figures of a market, a pattern type or another part of the events."""
        model = self.scores["calibrated"]
        area = self.auc("calibrated")
        top = np.rint(SHARES[0] * self.resamples.count())
        wins = {score: self.wins_at(score, top) for score in ("calibrated", "rule_confidence")}
        own = self.resamples.mean(self.is_win)
        brier = self.resamples.mean((model - self.is_win) ** 2)
        return {
            **self.counts(),
            "base_rate": self.base_rate(),
            "auc": judge(area, self.enough, 0.5),
            "auc_above_volatility": judge(area - self.auc("volatility"), self.enough, 0.0),
            "average_precision": judge(self.resamples.average_precision(model, self.is_win), self.enough),
            "brier_skill_own_base_rate": judge(1 - quotient(brier, own * (1 - own)), self.enough, 0.0),
            "ece": judge(self.resamples.calibration_error(model, self.is_win), self.enough),
            "model_to_rule": self.ratio(wins["calibrated"], wins["rule_confidence"], float(top[0])),
        }


class _Part:
    """The figures of the walk-forward blocks, or of the holdout."""

    def __init__(
        self, rows: pd.DataFrame, threshold: float, confidence_threshold: float, span: str, resamples: int
    ) -> None:
        self.rows, self.threshold, self.confidence_threshold, self.span = rows, threshold, confidence_threshold, span
        spans = span_codes(rows["detected_at"], span)
        names = (*SCORES, "constant")
        self.all = _Group(
            Resamples.of_spans(spans, resamples),
            spans,
            (rows["outcome_label"] == "win").to_numpy(dtype=bool),
            {name: rows[name].to_numpy(dtype=np.float64) for name in names},
        )

    def figures(self) -> dict[str, Any]:
        """Return all of them."""
        rows, group = self.rows, self.all
        resamples, enough, is_win = group.resamples, group.enough, group.is_win
        areas = {name: group.auc(name) for name in SCORES}
        precisions = {name: resamples.average_precision(group.scores[name], is_win) for name in SCORES}
        base_rate = resamples.mean(is_win)
        bullish = np.asarray(rows["direction"] == "bullish", dtype=np.float64)
        decided = group.of_rows((rows["outcome_label"] != "timeout").to_numpy(dtype=bool))
        planted = resamples.auc(rows["planted"].to_numpy(float), is_win)
        per_market, within = self._per_market()
        return {
            "events": len(rows),
            "start": rows["detected_at"].min().isoformat(),
            "end": rows["detected_at"].max().isoformat(),
            "spans": len(set(group.spans)),
            "span": self.span,
            "class_counts": {name: int((rows["outcome_label"] == name).sum()) for name in OUTCOMES},
            "base_rate": group.base_rate(),
            "auc": {
                **{name: judge(area, enough, 0.5) for name, area in areas.items()},
                "placebo": self._placebo(),
                "planted": judge(planted, enough, 0.5),
            },
            "auc_above": {name: judge(areas["calibrated"] - areas[name], enough, 0.0) for name in BASELINES},
            "auc_planted_above_model": judge(planted - areas["calibrated"], enough, 0.0),
            "auc_win_vs_loss": judge(decided.auc("calibrated"), decided.enough, 0.5),
            "auc_direction_sign": judge(resamples.auc(bullish, is_win), enough, 0.5),
            "by_direction": {
                name: _of_direction(group.of_rows((rows["direction"] == name).to_numpy(bool))) for name in DIRECTIONS
            },
            "auc_within_symbol": within,
            "average_precision": {name: judge(found, enough) for name, found in precisions.items()},
            "average_precision_above": {
                name: judge(precisions["calibrated"] - other, enough, 0.0)
                for name, other in {"constant": base_rate, **{name: precisions[name] for name in BASELINES}}.items()
            },
            **_losses(group),
            "ece": judge(resamples.calibration_error(group.scores["calibrated"], is_win), enough),
            "probabilities": {name: _probability(group, name) for name in PROBABILITIES},
            "reliability": {
                "equal_widths": reliability(resamples, group.scores["calibrated"], is_win, group.spans),
                "equal_counts": reliability(
                    resamples, group.scores["calibrated"], is_win, group.spans, equal_counts=True
                ),
            },
            "curves": {name: ranking_curves(group.scores[name], is_win) for name in SCORES},
            **self._true_positives(),
            "confirmed": self._confirmed(),
            "per_market": per_market,
            "per_timeframe": self._by("timeframe"),
            "per_pattern": self._by("pattern_type"),
            "blocks": self._blocks(),
        }

    def _placebo(self) -> Figure:
        placebo_win = self.rows["placebo_win"].to_numpy(bool)
        area = self.all.resamples.auc(self.rows["placebo"].to_numpy(float), placebo_win)
        return judge(area, is_enough(self.all.spans, placebo_win), 0.5)

    def _per_market(self) -> tuple[list[dict[str, Any]], Figure]:
        """Return figures per market (symbol and timeframe), and the mean AUC within those that have enough events."""
        symbols = self.rows["symbol"].to_numpy(str)
        timeframes = self.rows["timeframe"].to_numpy(str)
        per_market, within = [], []
        small = np.zeros(len(self.rows), dtype=bool)
        for symbol, timeframe in sorted(set(zip(symbols, timeframes, strict=True))):
            here = (symbols == symbol) & (timeframes == timeframe)
            group = self.all.of_rows(here)
            if group.enough:
                within.append(group.auc("calibrated"))
            else:
                small |= here
            per_market.append({"symbol": symbol, "timeframe": timeframe, **group.summary()})
        mean = _mean_of_defined(within) if within else np.full(self.all.resamples.draws.shape[1], np.nan)
        few = len(per_market) - len(within)
        if few > 1:
            per_market.append({"others": few, **self.all.of_rows(small).summary()})
        return per_market, judge(mean, bool(within), 0.5)

    def _by(self, column: str) -> list[dict[str, Any]]:
        """Return figures per value of a column, most frequent first; those with too few events taken together last."""
        values = self.rows[column].to_numpy(str)
        names, counts = np.unique(values, return_counts=True)
        found = []
        small = np.zeros(len(values), dtype=bool)
        others = 0
        for name in names[np.argsort(-counts, kind="stable")]:
            group = self.all.of_rows(values == name)
            if group.enough:
                found.append({column: str(name), **group.summary()})
            else:
                small |= values == name
                others += 1
        if others:
            found.append({"others": others, **self.all.of_rows(small).summary()})
        return found

    def _blocks(self) -> list[dict[str, Any]]:
        found = []
        for number in sorted(set(self.rows["block"])):
            here = (self.rows["block"] == number).to_numpy(bool)
            group, times = self.all.of_rows(here), self.rows.loc[here, "detected_at"]
            found.append(
                {
                    "block": int(number),
                    "start": times.min().isoformat(),
                    "end": times.max().isoformat(),
                    **group.summary(),
                    "baselines": {name: judge(group.auc(name), group.enough, 0.5) for name in BASELINES},
                }
            )
        return found

    def _true_positives(self) -> dict[str, list[dict[str, Any]]]:
        """Compare wins among equally many confirmations of model, rule and volatility.

        ``true_positives`` at ``SHARES`` and at the number that the rule confirms, and ``true_positive_curve``.
        """
        group = self.all
        by_rule = group.resamples.sum(group.scores["rule_confidence"] >= self.confidence_threshold)
        shares = np.rint(np.outer((*SHARES, *CURVE_SHARES), group.resamples.count()))
        counts = np.vstack([shares, by_rule])
        wins = {
            name: group.wins_at(name, counts) for name in ("calibrated", "blended", "rule_confidence", "volatility")
        }

        def compared(place: int) -> dict[str, Any]:
            model, blended, rule, volatility = (found[place] for found in wins.values())
            events = float(counts[place, 0])
            return {
                "events": int(events),
                "wins_model": float(model[0]),
                "wins_blended": float(blended[0]),
                "wins_rule": float(rule[0]),
                "wins_volatility": float(volatility[0]),
                "model_to_rule": group.ratio(model, rule, events),
                "blended_to_rule": group.ratio(blended, rule, events),
                "volatility_to_rule": group.ratio(volatility, rule, events),
                "model_to_volatility": group.ratio(model, volatility, events),
            }

        cuts = [{"confirmations": f"top {share:.0%}", **compared(place)} for place, share in enumerate(SHARES)]
        owners = f"as many as the rule at {self.confidence_threshold:g}"
        cuts.append({"confirmations": owners, **compared(len(counts) - 1)})
        curve = [{"share": share, **compared(len(SHARES) + place)} for place, share in enumerate(CURVE_SHARES)]
        return {"true_positives": cuts, "true_positive_curve": curve}

    def _confirmed(self) -> list[dict[str, Any]]:
        """Count what each threshold confirms: how often those events win (precision), and the share of all wins."""
        cases = [
            ("rule_confidence", self.confidence_threshold),
            ("blended", self.confidence_threshold),
            ("rule_confidence", self.threshold),
            ("blended", self.threshold),
        ]
        group = self.all
        resamples, is_win = group.resamples, group.is_win
        base_rate, wins = resamples.mean(is_win), resamples.sum(is_win)
        table = []
        for score, limit in cases:
            confirmed = group.scores[score] >= limit
            found = resamples.sum(confirmed & is_win)
            precision = quotient(found, resamples.sum(confirmed))
            enough = is_enough(group.spans[confirmed], is_win[confirmed])
            table.append(
                {
                    "by": score,
                    "threshold": limit,
                    "events": int(confirmed.sum()),
                    "wins": int((confirmed & is_win).sum()),
                    "share": float(confirmed.mean()),
                    "win_rate": judge(precision, enough),
                    "above_base_rate": judge(precision - base_rate, enough, 0.0),
                    "recall": judge(quotient(found, wins), enough),
                }
            )
        return table


def _of_direction(group: _Group) -> dict[str, Any]:
    """Return the base rate of one direction's events, and how well the model ranks among them."""
    return {
        "events": len(group.is_win),
        "base_rate": group.base_rate(),
        "auc": judge(group.auc("calibrated"), group.enough, 0.5),
    }


def _mean_of_defined(areas: list[Floats]) -> Floats:
    """Return the mean over symbols, in every resample of those that have events of both kinds in it."""
    stacked = np.array(areas)
    return quotient(np.nansum(stacked, axis=0), np.isfinite(stacked).sum(axis=0).astype(np.float64))


def _probability(group: _Group, name: str) -> dict[str, Figure]:
    """Return Brier score, log loss and calibration error of one score."""
    resamples, score, is_win = group.resamples, group.scores[name], group.is_win
    return {
        "brier": judge(resamples.mean((score - is_win) ** 2), group.enough),
        "log_loss": judge(resamples.mean(log_losses(score, is_win)), group.enough),
        "ece": judge(resamples.calibration_error(score, is_win), group.enough),
    }


def _losses(group: _Group) -> dict[str, Figure]:
    """Compare Brier score and log loss with those of two constants.

    One is the base rate of the training data, which was known at the time. The other is the base rate of the
    very events, which nobody knew: what is gained over the first and not over the second is a shift of base rates.
    """
    resamples, is_win, enough = group.resamples, group.is_win, group.enough
    model, constant = group.scores["calibrated"], group.scores["constant"]
    own = resamples.mean(is_win)
    brier = resamples.mean((model - is_win) ** 2)
    brier_constant = resamples.mean((constant - is_win) ** 2)
    loss = resamples.mean(log_losses(model, is_win))
    loss_constant = resamples.mean(log_losses(constant, is_win))
    inside = np.clip(own, 1e-15, 1 - 1e-15)
    loss_own = -own * np.log(inside) - (1 - own) * np.log1p(-inside)
    return {
        "brier": judge(brier, enough),
        "brier_skill": judge(1 - quotient(brier, brier_constant), enough, 0.0),
        "brier_skill_own_base_rate": judge(1 - quotient(brier, own * (1 - own)), enough, 0.0),
        "log_loss": judge(loss, enough),
        "log_loss_constant": judge(loss_constant, enough),
        "log_loss_own_base_rate": judge(loss_own, enough),
        "log_loss_skill": judge(1 - quotient(loss, loss_constant), enough, 0.0),
        "log_loss_skill_own_base_rate": judge(1 - quotient(loss, loss_own), enough, 0.0),
    }
