"""Linear models: every column's distance from its background, times its coefficient."""

from collections.abc import Sequence

import numpy as np

from trainer.compiler import nodes
from trainer.compiler.explanations.ensemble import LinearScores
from trainer.compiler.folding import Column, columns_of
from trainer.compiler.nodes import Floats


def background_of(scores: LinearScores) -> Floats:
    """Return the background that the transformers suggest, one value per feature.

    That is the centre that a scaler subtracts, else what an imputer fills in, else zero; the mean over folds.
    """
    result: Floats = np.mean([_background(part, scores.features) for part in scores.parts], axis=0)
    return result


def _background(part: nodes.LinearExpr, features: int) -> Floats:
    fills, centres = np.zeros(features), np.full(features, np.nan)
    for node in nodes.walk(part.source):
        if isinstance(node, nodes.ImputeVector | nodes.StandardizeVector) and _keeps_values(node.source):
            values = node.fill if isinstance(node, nodes.ImputeVector) else node.means
            target = fills if isinstance(node, nodes.ImputeVector) else centres
            if values is not None:
                target[[column.feature for column in columns_of(node.source)]] = values
    return np.where(np.isnan(centres), fills, centres)


def _keeps_values(node: nodes.VectorNode) -> bool:
    """Say whether the columns of ``node`` are features as they come, but for missing values."""
    kept = (
        nodes.FeatureVector
        | nodes.CheckedVector
        | nodes.GuardedVector
        | nodes.SelectVector
        | nodes.ConcatVector
        | nodes.ImputeVector
    )
    return all(isinstance(inner, kept) for inner in nodes.walk(node))


def background_columns(columns: Sequence[Column], background: Floats) -> Floats:
    """Return every column's value for the background row."""
    return np.array([float(column.apply(background[column.feature : column.feature + 1])[0]) for column in columns])


def base_values(scores: LinearScores, background: Floats) -> Floats:
    """Return the scores of the background row, one per output, averaged over folds."""
    values = [
        part.intercepts + part.coefficients @ background_columns(columns_of(part.source), background)
        for part in scores.parts
    ]
    result: Floats = np.mean(values, axis=0)
    return result
