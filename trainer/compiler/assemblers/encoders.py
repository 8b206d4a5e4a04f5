"""Encoders of numeric categories: step functions of their feature.

A category is matched by equality: it is the interval between the number before it and itself. What becomes of each
category, of a missing value and of an unknown one is asked of the library's own ``transform``, so grouping of rare
categories and dropping need no rules here.
"""

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from trainer.compiler import nodes
from trainer.compiler.assemblers.columns import Columns, check_width, finite
from trainer.compiler.errors import UnsupportedModelError


def one_hot_encoder(encoder: Any, columns: Columns) -> Columns:
    """Return one column of zeros and ones per category that is kept."""
    return Columns(_encoded(encoder, columns, encoder._n_features_outs), is_sparse=encoder.sparse_output)


def ordinal_encoder(encoder: Any, columns: Columns) -> Columns:
    """Return one column of codes per feature."""
    return Columns(_encoded(encoder, columns, [1] * len(encoder.categories_)))


def _encoded(encoder: Any, columns: Columns, sizes: Sequence[int]) -> nodes.StepVector:
    """Return the columns of an encoder that makes ``sizes[k]`` columns of feature k."""
    name = type(encoder).__name__
    check_width(encoder, columns)
    dtype = np.dtype(encoder.dtype)
    if dtype != np.float64 and dtype.kind not in "biu":
        raise UnsupportedModelError(f"{name} with dtype={dtype} is not supported; use dtype=numpy.float64.")
    if sum(sizes) == 0:
        raise UnsupportedModelError(f"{name} drops every column; leave out features with a single category.")
    categories = [_numeric_categories(name, values) for values in encoder.categories_]
    missing_known = np.array([bool(np.isnan(values[-1:]).any()) for values in categories])
    categories = [values[~np.isnan(values)] for values in categories]
    takes_unknown = encoder.handle_unknown != "error"
    outputs = _outputs(encoder, categories, missing_known | takes_unknown, takes_unknown, sizes)

    guarded = finite(columns.vector)
    if not takes_unknown:
        size = len(categories)
        known = {place: _boundaries(numbers) for place, numbers in enumerate(categories)}
        guarded = nodes.GuardedVector(guarded, np.full(size, -np.inf), np.full(size, np.inf), missing_known, known)
    breakpoints, steps, at_missing, features = [], [], [], []
    for place, block in enumerate(outputs):
        ends = _interval_ends(categories[place])
        # Between categories lies what is unknown; where that is refused, the next category serves as well.
        rows = np.minimum(np.searchsorted(categories[place], ends), max(len(categories[place]) - 1, 0))
        if takes_unknown:
            rows[~np.isin(ends, categories[place])] = len(block) - 1
        for column in block.T:
            values = column[rows]
            changes = np.flatnonzero(_differ(values[1:], values[:-1]))
            breakpoints.append(ends[changes])
            steps.append(values[np.append(changes, -1)])
            at_missing.append(column[-2])
            features.append(place)
    return nodes.StepVector(nodes.SelectVector(guarded, features), breakpoints, steps, np.array(at_missing))


def _numeric_categories(name: str, values: Any) -> nodes.Floats:
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise UnsupportedModelError(
            f"{name} was fitted on categories of type {values.dtype}, and features are numbers;"
            " fit it on numeric codes."
        )
    numbers: nodes.Floats = values.astype(np.float64)
    if len(np.unique(numbers)) != len(numbers):
        raise UnsupportedModelError(f"{name} holds categories that are one number in float8; use smaller codes.")
    return numbers


def _outputs(
    encoder: Any,
    categories: list[nodes.Floats],
    takes_missing: np.typing.NDArray[np.bool_],
    takes_unknown: bool,
    sizes: Sequence[int],
) -> list[nodes.Floats]:
    """Return per feature what its columns are: a row per category, one for a missing and one for an unknown value."""
    longest = max(len(values) for values in categories)
    rows = np.empty((longest + 2, len(categories)))
    for place, values in enumerate(categories):
        accepted = values[0] if len(values) else np.nan
        unknown = next(number for number in itertools.count() if number not in values)
        rows[:, place] = accepted
        rows[: len(values), place] = values
        rows[longest, place] = np.nan if takes_missing[place] else accepted
        rows[longest + 1, place] = unknown if takes_unknown else accepted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = encoder.transform(rows)
    encoded = sparse.csc_array(result if sparse.issparse(result) else np.asarray(result))
    ends = np.cumsum(sizes)
    blocks = [encoded[:, end - size : end].toarray() for size, end in zip(sizes, ends, strict=True)]
    kept = [[*range(len(values)), longest, longest + 1] for values in categories]
    return [block[rows].astype(np.float64) for block, rows in zip(blocks, kept, strict=True)]


def _interval_ends(categories: nodes.Floats) -> nodes.Floats:
    """Return the last number of each interval between categories, each of them an interval of its own."""
    with np.errstate(over="ignore"):
        return np.unique(np.concatenate([np.nextafter(categories, -np.inf), categories, [np.inf]]))


def _boundaries(categories: nodes.Floats) -> nodes.Floats:
    """Return the breakpoints of which an odd number lies below a category, an even number below other numbers."""
    ends = _interval_ends(categories)
    inside = np.isin(ends, categories)
    result: nodes.Floats = ends[:-1][inside[1:] != inside[:-1]]
    return result


def _differ(left: nodes.Floats, right: nodes.Floats) -> np.typing.NDArray[np.bool_]:
    result: np.typing.NDArray[np.bool_] = (left != right) & ~(np.isnan(left) & np.isnan(right))
    return result
