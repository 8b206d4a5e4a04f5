"""The points of ROC, precision-recall and reliability plots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from trainer.calibration import Floats
from trainer.evaluation.bootstrap import ECE_BINS, Bools, Resamples, is_enough, judge

POINTS = 40
"""Points kept of a curve: more cannot be seen."""


def ranking_curves(score: Floats, is_win: Bools) -> dict[str, list[list[float]]] | None:
    """Return points of the ROC curve (false, true positive rate) and of precision over recall (recall, precision).

    None where one of the classes is missing. The points are some of scikit-learn's, ends included.
    """
    if is_win.all() or not is_win.any():
        return None
    false_positives, true_positives, _ = roc_curve(is_win, score)
    precision, recall, _ = precision_recall_curve(is_win, score)
    return {
        "roc": _points(false_positives, true_positives),
        # From the highest threshold down; scikit-learn's added point at recall 0 is no threshold.
        "precision_recall": _points(recall[-2::-1], precision[-2::-1]),
    }


def _points(x: Floats, y: Floats) -> list[list[float]]:
    """Return the points nearest to an even grid over x, rounded."""
    kept = np.unique(np.append(np.searchsorted(x, np.linspace(x[0], x[-1], POINTS)), len(x) - 1))
    return [[round(float(x[place]), 4), round(float(y[place]), 4)] for place in kept]


def reliability(
    resamples: Resamples, probability: Floats, is_win: Bools, spans: NDArray[np.int64], *, equal_counts: bool = False
) -> list[dict[str, Any]]:
    """Return mean probability and observed frequency per bin, empty bins left out.

    The ten bins have equal widths, as in the calibration error, or equal counts as far as ties allow.
    """
    if equal_counts:
        inner = np.unique(np.quantile(probability, np.linspace(0, 1, ECE_BINS + 1)[1:-1]))
        bins = np.searchsorted(inner, probability, side="right")
    else:
        bins = np.minimum((probability * ECE_BINS).astype(int), ECE_BINS - 1)
    found = []
    for number in np.unique(bins):
        here = bins == number
        some, wins = resamples.of_rows(here), is_win[here]
        found.append(
            {
                "events": int(here.sum()),
                "wins": int(wins.sum()),
                "lowest": float(probability[here].min()),
                "highest": float(probability[here].max()),
                "predicted": float(probability[here].mean()),
                "observed": judge(some.mean(wins), is_enough(spans[here], wins)),
            }
        )
    return found
