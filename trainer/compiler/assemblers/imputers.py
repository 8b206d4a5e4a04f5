"""SimpleImputer: a constant per column for missing values."""

from typing import Any

import numpy as np

from trainer.compiler import nodes
from trainer.compiler.assemblers.columns import Columns, check_width, finite
from trainer.compiler.code_generator import json_text
from trainer.compiler.errors import UnsupportedModelError


def simple_imputer(imputer: Any, columns: Columns) -> Columns:
    """Fill missing values; with ``add_indicator``, append one column per feature that can have them."""
    if not (isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)):
        raise UnsupportedModelError(
            f"SimpleImputer with missing_values={json_text(imputer.missing_values)} is not supported;"
            " use the default, NaN."
        )
    if not np.issubdtype(imputer._fill_dtype, np.number):
        raise UnsupportedModelError(
            f"SimpleImputer fitted on {imputer._fill_dtype} is not supported; fit it on numbers."
        )
    check_width(imputer, columns)
    # As scikit-learn does, infinity is refused where missing values are let through.
    checked = finite(columns.vector)
    fill = np.asarray(imputer.statistics_)
    empty = np.isnan(fill.astype(np.float64)) & (not imputer.keep_empty_features)
    kept = np.flatnonzero(~empty)
    if len(kept) == 0:
        raise UnsupportedModelError("SimpleImputer drops every feature: none had a value when it was fitted.")
    selected = checked if len(kept) == len(fill) else nodes.SelectVector(checked, kept.tolist())
    imputed = nodes.ImputeVector(selected, fill[kept].astype(imputer._fill_dtype).astype(np.float64))
    if not imputer.add_indicator or len(imputer.indicator_.features_) == 0:
        return Columns(imputed, columns.is_sparse)
    watched = nodes.SelectVector(checked, imputer.indicator_.features_.tolist())
    return Columns(nodes.ConcatVector([imputed, nodes.MissingIndicatorVector(watched)]), columns.is_sparse)
