"""Intervals from a bootstrap over calendar months (weeks for intraday bars).

All events of a month move together, which covers overlapping outcomes and symbols that follow one market.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.calibration import Floats

RESAMPLES = 400
SEED = 20_240_229
ECE_BINS = 10
LEAST_SPANS = 12
LEAST_OF_EACH_CLASS = 30
_CELLS = 4_000_000
"""Weights that are expanded at a time, so that memory does not grow with the number of events."""

ABOVE, BELOW, NOT_SHOWN, TOO_FEW = "above", "below", "not shown", "too few to judge"
"""Verdicts: the interval lies above or below what chance or the baseline gives, includes it, or is withheld."""

Bools = NDArray[np.bool_]
Figure = dict[str, float | str | None]
"""``value``, ``low`` and ``high`` of the interval, and a ``verdict`` where there is one; None where undefined."""


@dataclass(frozen=True, eq=False)
class Resamples:
    """Which spans each resample holds.

    ``draws``, shape (spans, 1 + resamples): how often a span was drawn; the first column is the sample itself, all
    ones. ``spans``, shape (events,): the row of each event's span. A figure has shape (1 + resamples,).
    """

    draws: Floats
    spans: NDArray[np.int64]

    @classmethod
    def of_spans(cls, spans: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = SEED) -> Resamples:
        """Draw as many spans as there are, with replacement, each with all its events."""
        rows = np.unique(spans, return_inverse=True)[1].astype(np.int64)
        count = int(rows.max()) + 1
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        return cls(np.vstack([np.ones(count), drawn]).T.astype(np.float64, order="C"), rows)

    @property
    def weights(self) -> Floats:
        """How often each event was drawn, shape (events, 1 + resamples)."""
        return self.draws[self.spans]

    def of_rows(self, rows: Bools) -> Resamples:
        """Return the same resamples of some of the events."""
        return Resamples(self.draws, self.spans[rows])

    def sum(self, values: Floats | Bools) -> Floats:
        """Return the sum of values in every resample."""
        return np.bincount(self.spans, weights=values, minlength=len(self.draws)) @ self.draws

    def count(self) -> Floats:
        """Return the number of events in every resample."""
        return self.sum(np.ones(len(self.spans)))

    def mean(self, values: Floats | Bools) -> Floats:
        """Return the mean of values in every resample; NaN in one without events."""
        return quotient(self.sum(values), self.count())

    def auc(self, score: Floats, is_win: Bools) -> Floats:
        """Return the area under the ROC curve in every resample; ties count one half.

        Pairs of a win and another event are counted once, by their two spans: how often a resample holds a pair is
        the product of how often it holds the spans.
        """
        spans = len(self.draws)
        wins, wins_span = score[is_win], self.spans[is_win]
        others, others_span = score[~is_win], self.spans[~is_win]
        in_order = np.zeros((spans, spans))
        for span in np.unique(others_span):
            beaten = np.sort(others[others_span == span])
            below = (np.searchsorted(beaten, wins, "left") + np.searchsorted(beaten, wins, "right")) / 2
            in_order[:, span] = np.bincount(wins_span, weights=below, minlength=spans)
        pairs = self.sum(is_win) * self.sum(~is_win)
        return quotient((self.draws * (in_order @ self.draws)).sum(axis=0), pairs)

    def average_precision(self, score: Floats, is_win: Bools) -> Floats:
        """Return the average precision in every resample, as scikit-learn's ``average_precision_score`` defines it."""
        averages = []
        for _, won, confirmed in self._by_rank(score, is_win):
            precision = np.divide(won, confirmed, out=np.zeros_like(won), where=confirmed > 0)
            averages.append(quotient((np.diff(won, axis=0) * precision[1:]).sum(axis=0), won[-1]))
        return np.concatenate(averages)

    def wins_among_highest(self, score: Floats, is_win: Bools, counts: Floats) -> Floats:
        """Return the wins among the highest scores of every resample; of tied events, the expected number.

        ``counts`` has shape (1 + resamples,) or (several, 1 + resamples); so has the result.
        """
        found = np.empty_like(counts)
        for columns, won, confirmed in self._by_rank(score, is_win):
            for place, column in enumerate(range(columns.start, columns.stop)):
                found[..., column] = np.interp(counts[..., column], confirmed[:, place], won[:, place])
        return found

    def calibration_error(self, probability: Floats, is_win: Bools) -> Floats:
        """Return the expected calibration error over ten bins of equal width."""
        bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
        gaps = [self.sum(np.where(bins == number, probability - is_win, 0.0)) for number in np.unique(bins)]
        return quotient(np.abs(gaps).sum(axis=0), self.count())

    def _by_rank(self, score: Floats, is_win: Bools) -> Iterator[tuple[slice, Floats, Floats]]:
        """Yield, some resamples at a time, the wins and the events that each threshold confirms.

        Thresholds are none and then the distinct scores, the highest first; the arrays have a row for each.
        """
        order = np.argsort(-score, kind="stable")
        ordered, spans, wins = score[order], self.spans[order], is_win[order, None]
        ends = np.append(0, 1 + np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(order) > 0)))
        step = max(1, _CELLS // max(1, len(order)))
        for first in range(0, self.draws.shape[1], step):
            columns = slice(first, min(first + step, self.draws.shape[1]))
            weights = self.draws[:, columns][spans]
            yield columns, _cumulated(weights * wins)[ends], _cumulated(weights)[ends]


def _cumulated(values: Floats) -> Floats:
    """Return the sums of the first 0, 1, ... rows."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def quotient(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where nothing is there to divide by, as in a resample without any event of a symbol."""
    result = np.full(len(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def interval(values: Floats) -> Figure:
    """Return the sample's value and the 2.5 % and 97.5 % quantiles of the resamples; None where undefined."""
    resampled = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (np.nan, np.nan)
    named = {"value": values[0], "low": low, "high": high}
    return {name: float(value) if np.isfinite(value) else None for name, value in named.items()}


def is_enough(spans: NDArray[np.int64], is_win: Bools) -> bool:
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
