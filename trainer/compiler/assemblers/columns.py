"""What transformers and models take: a vector of columns, and how the library stores them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from trainer.compiler import nodes
from trainer.compiler.errors import UnsupportedModelError


@dataclass(frozen=True)
class Columns:
    """Columns on their way from the features to the model.

    ``is_sparse`` says that the library holds them as a sparse matrix. The numbers are the same, but some steps
    compute in another way: scalers multiply by the reciprocal of the scale, trees refuse missing values.
    """

    vector: nodes.VectorNode
    is_sparse: bool = False


def select(columns: Columns, indices: Any) -> Columns:
    """Return the columns at ``indices``."""
    chosen = np.asarray(indices, dtype=np.int64).tolist()
    if chosen == list(range(columns.vector.output_size)):
        return columns
    return Columns(nodes.SelectVector(columns.vector, chosen), columns.is_sparse)


def finite(vector: nodes.VectorNode) -> nodes.VectorNode:
    """Return ``vector`` behind the check of most transformers: no infinity, but missing values."""
    return vector if vector.is_finite else nodes.CheckedVector(vector, allow_missing=True, limit=np.inf)


def require_fitted(model: Any) -> None:
    """Raise `UnsupportedModelError` for an estimator that is not fitted."""
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise UnsupportedModelError(f"{type(model).__name__} is not fitted; call fit first.") from error


def check_width(estimator: Any, columns: Columns) -> None:
    """Raise `UnsupportedModelError` for an estimator that was fitted on another number of columns."""
    width = columns.vector.output_size
    if estimator.n_features_in_ != width:
        raise UnsupportedModelError(
            f"{type(estimator).__name__} was fitted on {estimator.n_features_in_} columns and receives {width};"
            " fit the pipeline as a whole."
        )


def is_absent(step: Any) -> bool:
    """Say whether a pipeline step is a placeholder that does nothing."""
    return step is None or isinstance(step, str)


def unfrozen(model: Any) -> Any:
    """Return the estimator inside FrozenEstimator, or ``model`` itself."""
    while class_key(model) == "sklearn_FrozenEstimator":
        model = model.estimator
    return model


def class_key(model: Any) -> str:
    """Return the top-level module and the class name of ``model``, as in `SUPPORTED_MODELS`."""
    return f"{type(model).__module__.split('.')[0]}_{type(model).__name__}"
