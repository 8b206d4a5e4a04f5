"""Calibrators: maps from a raw probability of win to a calibrated one, in the form ``ml_calibrators`` stores.

- ``identity``: x
- ``sigmoid``: 1 / (1 + exp(a x + b)), fitted as Platt (1999) and scikit-learn do, with smoothed targets
- ``isotonic``: straight lines between knots, the end values beyond them, as scikit-learn's IsotonicRegression
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

Floats = NDArray[np.float64]
METHODS = ("identity", "sigmoid", "isotonic")


@dataclass(frozen=True)
class Calibrator:
    """One fitted map; ``a`` and ``b`` belong to sigmoid, the knots to isotonic."""

    method: str
    a: float | None = None
    b: float | None = None
    knots_x: tuple[float, ...] | None = None
    knots_y: tuple[float, ...] | None = None

    def __call__(self, raw: Floats) -> Floats:
        """Return the calibrated probabilities of raw ones."""
        values = np.asarray(raw, dtype=np.float64)
        if self.method == "sigmoid":
            assert self.a is not None  # noqa: S101 (fit_calibrator sets both)
            assert self.b is not None  # noqa: S101
            return np.asarray(1.0 / (1.0 + np.exp(self.a * values + self.b)))
        if self.method == "isotonic":
            assert self.knots_x is not None  # noqa: S101
            assert self.knots_y is not None  # noqa: S101
            return np.asarray(np.interp(values, self.knots_x, self.knots_y))
        return values

    def to_json(self) -> dict[str, Any]:
        """Return the columns of ``ml_calibrators``."""
        return {
            "method": self.method,
            "a": self.a,
            "b": self.b,
            "knots_x": None if self.knots_x is None else list(self.knots_x),
            "knots_y": None if self.knots_y is None else list(self.knots_y),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Calibrator:
        """Build a calibrator from what ``to_json`` gave."""
        x, y = stored["knots_x"], stored["knots_y"]
        knots = (None if x is None else tuple(x), None if y is None else tuple(y))
        return cls(stored["method"], stored["a"], stored["b"], *knots)


def fit_calibrator(method: str, raw: Floats, is_win: NDArray[np.bool_]) -> Calibrator:
    """Fit a calibrator on raw probabilities that the model gave to events it had not seen."""
    if method == "identity":
        return Calibrator("identity")
    if method == "sigmoid":
        a, b = _platt(np.asarray(raw, dtype=np.float64), is_win)
        return Calibrator("sigmoid", a=a, b=b)
    if method == "isotonic":
        fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, is_win.astype(float))
        return Calibrator(
            "isotonic",
            knots_x=tuple(float(x) for x in fitted.X_thresholds_),
            knots_y=tuple(float(y) for y in fitted.y_thresholds_),
        )
    raise ValueError(f"unknown calibration method: {method}")


def _platt(x: Floats, is_win: NDArray[np.bool_]) -> tuple[float, float]:
    """Return a and b of least log loss by Newton's method, halving steps that do not improve it."""
    wins, rest = int(is_win.sum()), int((~is_win).sum())
    target = np.where(is_win, (wins + 1.0) / (wins + 2.0), 1.0 / (rest + 2.0))
    design = np.column_stack([-x, -np.ones_like(x)])

    def loss(weights: Floats) -> float:
        margin = design @ weights
        return float(np.sum(np.logaddexp(0.0, margin) - target * margin))

    weights = np.array([0.0, np.log((rest + 1.0) / (wins + 1.0))])
    current = loss(weights)
    for _ in range(100):
        probability = 1.0 / (1.0 + np.exp(-(design @ weights)))
        gradient = design.T @ (probability - target)
        curvature = (design * (probability * (1.0 - probability))[:, None]).T @ design
        # The ridge keeps the step finite when all raw probabilities are equal.
        step = np.linalg.solve(curvature + 1e-10 * np.eye(2), gradient)
        scale = 1.0
        while scale > 1e-10 and loss(weights - scale * step) > current:
            scale /= 2
        weights = weights - scale * step
        improved = current - loss(weights)
        current = loss(weights)
        if abs(improved) < 1e-12 * max(1.0, abs(current)):
            break
    return float(weights[0]), float(weights[1])
