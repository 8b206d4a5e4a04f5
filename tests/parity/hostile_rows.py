"""Rows on which a careless compiler goes wrong."""

from typing import Any

import numpy as np

from trainer.compiler import assemble, nodes
from trainer.compiler.folding import fold

DECIMALS = np.array([0.1, 0.2, 0.3, 0.7, 1.1, 2.675, 1e-5, 123456.789, 16777217.0, -0.1, -2.675])


def tree_thresholds(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature and the threshold of every split, as compiled; of a split on a set, all its breakpoints."""
    features, thresholds = [], []
    for node in nodes.walk(fold(assemble(model))):
        for tree in node.trees if isinstance(node, nodes.TreeExpr) else ():
            for split, feature in enumerate(tree.feature):
                points = tree.breakpoints.get(split, tree.threshold[split : split + 1])
                features += [feature] * len(points)
                thresholds += points.tolist()
    return np.array(features, dtype=int), np.array(thresholds)


def library_thresholds(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the feature and the threshold of every split, as scikit-learn holds them."""
    estimators = np.ravel(getattr(model, "estimators_", [model]))
    split = [estimator.tree_.children_left >= 0 for estimator in estimators]
    pairs = list(zip(estimators, split, strict=True))
    return (
        np.concatenate([estimator.tree_.feature[mask] for estimator, mask in pairs]),
        np.concatenate([estimator.tree_.threshold[mask] for estimator, mask in pairs]),
    )


def near(thresholds: tuple[np.ndarray, np.ndarray], rows: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Return ``3 * count`` copies of rows, each with one feature at, just below or just above a threshold."""
    rng = np.random.default_rng(seed)
    # A split of missing from present values has an infinite threshold: there is nothing next to it.
    features, values = (part[np.isfinite(thresholds[1])] for part in thresholds)
    chosen = rng.integers(len(features), size=count)
    result = rows[rng.integers(len(rows), size=3 * count)].copy()
    for position, split in enumerate(chosen):
        value = values[split]
        for offset, target in enumerate((value, np.nextafter(value, -np.inf), np.nextafter(value, np.inf))):
            result[3 * position + offset, features[split]] = target
    return result


def sprinkle(rows: np.ndarray, values: Any, share: float, seed: int = 0) -> np.ndarray:
    """Return ``rows`` with a share of the cells replaced by random picks from ``values``."""
    rng = np.random.default_rng(seed)
    result = rows.astype(float).copy()
    mask = rng.random(result.shape) < share
    result[mask] = rng.choice(np.asarray(values, dtype=float), size=int(mask.sum()))
    return result
