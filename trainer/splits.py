"""Time-ordered splits that keep the future out of training: expanding, purged, embargoed.

Boundaries are instants, the same for all symbols, since symbols move together. An event trains a fold only if
its label window had ended, plus an embargo, before the fold's test block begins; and it is tested in a walk-forward
block, by which champion, calibrator and threshold are chosen, only if that holds for the start of the holdout. The
end of the window counts, not the time of the outcome: a barrier that is touched early would keep an event that a
timeout at the same moment would have lost, and so choose events by their outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainer.errors import UserError

EMBARGO_BARS = 14
"""Bar periods between the end of a training label and the test block: for daily bars 14 days, or 10 bars."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows to train on and rows to test on; every test row is detected at ``test_start`` or later."""

    test_start: pd.Timestamp
    train: NDArray[np.intp]
    test: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Splits:
    """Walk-forward folds, and a last holdout; every row of the folds, trained on or tested, can train the holdout."""

    folds: tuple[Fold, ...]
    holdout: Fold

    def names(self, events: int) -> list[str]:
        """Return ``train``, ``purged`` or ``holdout`` for each row."""
        names = np.full(events, "purged", dtype=object)
        names[self.holdout.train] = "train"
        names[self.holdout.test] = "holdout"
        return [str(name) for name in names]


def split_by_time(
    detected_at: pd.Series,
    known_at: pd.Series,
    *,
    embargo: pd.Timedelta,
    folds: int = 4,
    first_train_share: float = 0.4,
    holdout_share: float = 0.2,
) -> Splits:
    """Split events by their detection time.

    Args:
        detected_at: detection times, not decreasing.
        known_at: when each outcome is known whatever it is: the end of the label window. A row without it is in the
            holdout or nowhere.
        embargo: least time between the end of a window that trains and the test block, and between that of a row
            tested in a walk-forward block and the holdout.
        folds: number of walk-forward blocks between the first training set and the holdout.
        first_train_share: share of events before the first block.
        holdout_share: share of events in the holdout.

    Raises:
        UserError: there are too few events, or too few different times, for such splits.
    """
    times = detected_at.dt.tz_convert(None).to_numpy()
    known = known_at.dt.tz_convert(None).to_numpy()
    shares = np.linspace(first_train_share, 1 - holdout_share, folds + 1)
    starts = [times[min(int(share * len(times)), len(times) - 1)] for share in shares]
    if len(set(starts)) != len(starts):
        raise UserError(
            f"{len(times)} events lie at too few different times for {folds} walk-forward blocks and a "
            "holdout: load more bars."
        )
    ends = [*starts[1:], None]
    free = known + embargo.to_timedelta64()
    found = []
    for start, end in zip(starts, ends, strict=True):
        test = times >= start if end is None else (times >= start) & (times < end) & (free <= starts[-1])
        train = free <= start
        found.append(Fold(pd.Timestamp(start, tz="UTC"), np.flatnonzero(train), np.flatnonzero(test)))
    for fold in found:
        if not len(fold.train) or not len(fold.test):
            raise UserError(
                f"The block that begins on {fold.test_start:%Y-%m-%d} has no events to "
                f"{'test' if len(fold.train) else 'train on'} whose outcomes are known early enough: load more bars."
            )
    return Splits(tuple(found[:-1]), found[-1])
