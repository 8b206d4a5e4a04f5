"""Pipelines, and the transformers that may stand before the last step."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from trainer.compiler import nodes
from trainer.compiler.code_generator import json_text
from trainer.compiler.errors import UnsupportedModelError


def transform(transformer: Any, source: nodes.VectorNode) -> nodes.VectorNode:
    """Return the columns that a fitted transformer makes of ``source``; refuse a class that is not known."""
    if is_absent(transformer):
        return source
    step = TRANSFORMERS.get(class_key(transformer))
    if step is None:
        raise UnsupportedModelError(
            f"{type(transformer).__name__} as a pipeline step is not supported; supported are"
            f" {', '.join(sorted(key.split('_', 1)[1] for key in TRANSFORMERS))}."
        )
    require_fitted(transformer)
    return step(transformer, source)


def require_fitted(model: Any) -> None:
    """Raise `UnsupportedModelError` for an estimator that is not fitted."""
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise UnsupportedModelError(f"{type(model).__name__} is not fitted; call fit first.") from error


def is_absent(step: Any) -> bool:
    """Say whether a pipeline step is a placeholder that does nothing."""
    return step is None or isinstance(step, str)


def class_key(model: Any) -> str:
    """Return the top-level module and the class name of ``model``, as in `SUPPORTED_MODELS`."""
    return f"{type(model).__module__.split('.')[0]}_{type(model).__name__}"


def _pipeline(pipeline: Any, source: nodes.VectorNode) -> nodes.VectorNode:
    for _, step in pipeline.steps:
        source = transform(step, source)
    return source


def _impute(imputer: Any, source: nodes.VectorNode) -> nodes.VectorNode:
    if not (isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)):
        raise UnsupportedModelError(
            f"SimpleImputer with missing_values={json_text(imputer.missing_values)} is not supported;"
            " use the default, NaN."
        )
    if not np.issubdtype(imputer._fill_dtype, np.number):
        raise UnsupportedModelError(
            f"SimpleImputer fitted on {imputer._fill_dtype} is not supported; fit it on numbers."
        )
    _check_width(imputer, source)
    # As scikit-learn does, infinity is refused where missing values are let through.
    checked = _finite(source)
    fill = np.asarray(imputer.statistics_)
    empty = np.isnan(fill.astype(np.float64)) & (not imputer.keep_empty_features)
    kept = np.flatnonzero(~empty)
    if len(kept) == 0:
        raise UnsupportedModelError("SimpleImputer drops every feature: none had a value when it was fitted.")
    selected = checked if len(kept) == len(fill) else nodes.SelectVector(checked, kept.tolist())
    imputed = nodes.ImputeVector(selected, fill[kept].astype(imputer._fill_dtype).astype(np.float64))
    if not imputer.add_indicator or len(imputer.indicator_.features_) == 0:
        return imputed
    watched = nodes.SelectVector(checked, imputer.indicator_.features_.tolist())
    return nodes.ConcatVector([imputed, nodes.MissingIndicatorVector(watched)])


def _standardize(scaler: Any, source: nodes.VectorNode) -> nodes.VectorNode:
    _check_width(scaler, source)
    means = np.asarray(scaler.mean_, dtype=np.float64) if scaler.with_mean else None
    scales = np.asarray(scaler.scale_, dtype=np.float64) if scaler.with_std else None
    for values in (means, scales):
        if values is not None and not np.isfinite(values).all():
            raise UnsupportedModelError(
                "StandardScaler holds a mean or scale that is not finite; leave out features without values."
            )
    checked = _finite(source)
    return checked if means is None and scales is None else nodes.StandardizeVector(checked, means, scales)


def _finite(source: nodes.VectorNode) -> nodes.VectorNode:
    return source if source.is_finite else nodes.CheckedVector(source, allow_missing=True, limit=np.inf)


def _check_width(transformer: Any, source: nodes.VectorNode) -> None:
    if transformer.n_features_in_ != source.output_size:
        raise UnsupportedModelError(
            f"{type(transformer).__name__} was fitted on {transformer.n_features_in_} columns"
            f" and receives {source.output_size}; fit the pipeline as a whole."
        )


TRANSFORMERS: dict[str, Callable[[Any, nodes.VectorNode], nodes.VectorNode]] = {
    "sklearn_Pipeline": _pipeline,
    "sklearn_SimpleImputer": _impute,
    "sklearn_StandardScaler": _standardize,
}
