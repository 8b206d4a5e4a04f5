"""Scalers: every column by itself, in the order in which the library computes."""

from typing import Any

import numpy as np

from trainer.compiler import nodes
from trainer.compiler.assemblers.columns import Columns, check_width, finite
from trainer.compiler.errors import UnsupportedModelError


def standard_scaler(scaler: Any, columns: Columns) -> Columns:
    """Subtract the mean, divide by the standard deviation."""
    check_width(scaler, columns)
    means = _numbers(scaler, "mean_") if scaler.with_mean else None
    return _centred_and_divided(scaler, columns, means, _numbers(scaler, "scale_") if scaler.with_std else None)


def robust_scaler(scaler: Any, columns: Columns) -> Columns:
    """Subtract the median, divide by the range between quantiles."""
    check_width(scaler, columns)
    centres = _numbers(scaler, "center_") if scaler.with_centering else None
    return _centred_and_divided(scaler, columns, centres, _numbers(scaler, "scale_") if scaler.with_scaling else None)


def max_abs_scaler(scaler: Any, columns: Columns) -> Columns:
    """Divide by the largest magnitude; with ``clip``, keep the result between -1 and 1."""
    check_width(scaler, columns)
    scaled = _centred_and_divided(scaler, columns, None, _numbers(scaler, "scale_"))
    if not scaler.clip:
        return scaled
    return Columns(_multiplied(scaled.vector, np.ones(scaled.vector.output_size), (-1.0, 1.0)), scaled.is_sparse)


def min_max_scaler(scaler: Any, columns: Columns) -> Columns:
    """Multiply, then add; with ``clip``, keep the result in the range."""
    check_width(scaler, columns)
    low, high = scaler.feature_range
    bounds = (float(low), float(high)) if scaler.clip else None
    scales, shifts = _numbers(scaler, "scale_"), _numbers(scaler, "min_")
    return Columns(nodes.ScaleVector(finite(columns.vector), scales, shifts, bounds), columns.is_sparse)


def weighted(columns: Columns, weight: float) -> Columns:
    """Multiply every column by a weight of ColumnTransformer."""
    if not 0 < weight < np.inf:
        raise UnsupportedModelError(
            f"ColumnTransformer with a weight of {weight} is not supported; use positive transformer_weights."
        )
    weights = np.full(columns.vector.output_size, weight)
    return Columns(_multiplied(columns.vector, weights), columns.is_sparse)


def _centred_and_divided(
    scaler: Any, columns: Columns, means: nodes.Floats | None, scales: nodes.Floats | None
) -> Columns:
    vector = finite(columns.vector)
    if scales is not None and columns.is_sparse:
        with np.errstate(all="ignore"):
            factors = 1 / scales
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise _refused(scaler)
        vector = _multiplied(vector, factors)
    elif means is not None or scales is not None:
        vector = nodes.StandardizeVector(vector, means, scales)
    return Columns(vector, columns.is_sparse)


def _multiplied(
    vector: nodes.VectorNode, factors: nodes.Floats, bounds: tuple[float, float] | None = None
) -> nodes.ScaleVector:
    return nodes.ScaleVector(vector, factors, np.zeros(len(factors)), bounds)


def _numbers(scaler: Any, attribute: str) -> nodes.Floats:
    values = np.asarray(getattr(scaler, attribute), dtype=np.float64)
    if not np.isfinite(values).all() or (attribute == "scale_" and (values <= 0).any()):
        raise _refused(scaler)
    return values


def _refused(scaler: Any) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(scaler).__name__} holds a centre or scale that is not finite, or a scale that is not positive;"
        " leave out features without values."
    )
