"""Losses, and means whose errors allow for events that move together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainer.calibration import Floats


def span_codes(times: pd.Series, span: str) -> NDArray[np.int64]:
    """Return the calendar month or the week from Monday (UTC) of each time, numbered from 0."""
    if span == "month":
        codes = times.dt.year * 12 + times.dt.month
    else:
        # 1970-01-01 was a Thursday.
        codes = (times.dt.as_unit("s").astype("int64") // 86_400 + 3) // 7
    return np.unique(codes.to_numpy(), return_inverse=True)[1].astype(np.int64)


def log_losses(probability: Floats, is_win: NDArray[np.bool_]) -> Floats:
    """Return -log of the probability that was given to what happened, per event."""
    clipped = np.clip(probability, 1e-15, 1 - 1e-15)
    return np.where(is_win, -np.log(clipped), -np.log1p(-clipped))


def clustered_mean(values: Floats, clusters: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean and its standard error, values of a cluster being free to move together.

    The error is that of a ratio estimator: sqrt(k / (k - 1) sum over k clusters of (S - mean n)^2) / N.
    """
    sums = np.bincount(clusters, weights=values)
    sizes = np.bincount(clusters)
    present = sizes > 0
    mean = float(values.mean())
    deviations = sums[present] - mean * sizes[present]
    count = len(deviations)
    if count < 2:
        return mean, float("inf")
    return mean, float(np.sqrt(count / (count - 1) * np.sum(deviations**2)) / len(values))
