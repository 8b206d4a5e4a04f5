"""Pipelines and column transformers, and the transformers that may stand before the last step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from trainer.compiler import nodes
from trainer.compiler.assemblers.columns import (
    Columns,
    check_width,
    class_key,
    is_absent,
    require_fitted,
    select,
    unfrozen,
)
from trainer.compiler.assemblers.encoders import one_hot_encoder, ordinal_encoder
from trainer.compiler.assemblers.imputers import simple_imputer
from trainer.compiler.assemblers.scalers import (
    max_abs_scaler,
    min_max_scaler,
    robust_scaler,
    standard_scaler,
    weighted,
)
from trainer.compiler.errors import UnsupportedModelError


def transform(transformer: Any, columns: Columns) -> Columns:
    """Return the columns that a fitted transformer makes of ``columns``; refuse a class that is not known."""
    if is_absent(transformer):
        return columns
    transformer = unfrozen(transformer)
    step = TRANSFORMERS.get(class_key(transformer))
    if step is None:
        raise UnsupportedModelError(
            f"{type(transformer).__name__} as a pipeline step is not supported; supported are"
            f" {', '.join(sorted(key.split('_', 1)[1] for key in TRANSFORMERS))}."
        )
    require_fitted(transformer)
    return step(transformer, columns)


def _pipeline(pipeline: Any, columns: Columns) -> Columns:
    for _, step in pipeline.steps:
        columns = transform(step, columns)
    return columns


def _column_transformer(transformer: Any, columns: Columns) -> Columns:
    check_width(transformer, columns)
    weights = transformer.transformer_weights or {}
    parts = []
    for name, step, _ in transformer.transformers_:
        indices = transformer._transformer_to_input_indices[name]
        if (isinstance(step, str) and step == "drop") or len(indices) == 0:
            continue
        part = transform(step, select(columns, indices))
        parts.append(part if weights.get(name) is None else weighted(part, float(weights[name])))
    if not parts:
        raise UnsupportedModelError("ColumnTransformer drops every column; keep at least one.")
    vector = parts[0].vector if len(parts) == 1 else nodes.ConcatVector([part.vector for part in parts])
    return Columns(vector, transformer.sparse_output_)


def _function_transformer(transformer: Any, columns: Columns) -> Columns:
    if transformer.func is not None:
        raise UnsupportedModelError(
            "FunctionTransformer with a function is not supported; compute its result before, as a feature."
        )
    vector = columns.vector
    if transformer.validate and (vector.may_be_missing or not vector.is_finite):
        vector = nodes.CheckedVector(vector, allow_missing=False, limit=np.inf)
    return Columns(vector, columns.is_sparse)


TRANSFORMERS: dict[str, Callable[[Any, Columns], Columns]] = {
    "sklearn_ColumnTransformer": _column_transformer,
    "sklearn_FunctionTransformer": _function_transformer,
    "sklearn_MaxAbsScaler": max_abs_scaler,
    "sklearn_MinMaxScaler": min_max_scaler,
    "sklearn_OneHotEncoder": one_hot_encoder,
    "sklearn_OrdinalEncoder": ordinal_encoder,
    "sklearn_Pipeline": _pipeline,
    "sklearn_RobustScaler": robust_scaler,
    "sklearn_SimpleImputer": simple_imputer,
    "sklearn_StandardScaler": standard_scaler,
}
