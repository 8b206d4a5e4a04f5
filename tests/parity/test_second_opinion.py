"""Every row reaches the leaf that treelite, which reads the same models on its own, sends it to.

The other parity tests compare sums of leaves with the library; here each tree is compared by itself. Left out is
what treelite gets wrong: LightGBM's zero_as_missing, and categories that are no whole numbers.
"""

import numpy as np
import pytest
import treelite
from hostile_rows import DECIMALS, near, sprinkle, tree_thresholds
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from xgboost import XGBClassifier, XGBRegressor

from trainer.compiler import assemble, nodes
from trainer.compiler.folding import fold
from trainer.compiler.reference import leaf_of

TREES = {"n_estimators": 6, "random_state": 0, "n_jobs": 1}
LIGHT = {**TREES, "verbose": -1}
STAGES = {"n_estimators": 6, "random_state": 0}
ITERATIONS = {"max_iter": 6, "random_state": 0}


def leaves(model, rows: np.ndarray) -> np.ndarray:
    """Return, per row and tree, the values of the leaf reached; trees are in the order of training."""
    [expr] = [node for node in nodes.walk(fold(assemble(model))) if isinstance(node, nodes.TreeExpr)]
    groups = expr.groups if isinstance(expr, nodes.BoostedTreesExpr) else [expr.trees]
    trees = [tree for iteration in zip(*groups, strict=True) for tree in iteration]
    present = [[None if np.isnan(value) else value for value in row] for row in rows.tolist()]
    return np.array([[tree.leaves[leaf_of(tree, row)] for tree in trees] for row in present])


def opinion(model, rows: np.ndarray) -> np.ndarray:
    """Return the same as `leaves` does, as treelite sees it."""
    if hasattr(model, "booster_"):
        imported = treelite.frontend.from_lightgbm(model.booster_)
    elif hasattr(model, "get_booster"):
        imported = treelite.frontend.from_xgboost(model.get_booster())
    else:
        imported = treelite.sklearn.import_model(model)
        if not isinstance(model, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
            # The library rounds features to float32 before it looks at them, and treelite does not.
            rows = rows.astype(np.float32)
    return treelite.gtil.predict_per_tree(imported, rows.astype(imported.input_type))


def hostile(model, X: np.ndarray, missing: bool) -> np.ndarray:
    parts = [X, near(tree_thresholds(model), X, 200), sprinkle(X[:100], DECIMALS, 0.5)]
    if missing:
        parts += [sprinkle(X[:100], [np.nan], 0.4), np.full((1, X.shape[1]), np.nan)]
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        (RandomForestClassifier(**TREES), True),
        (ExtraTreesClassifier(**TREES), True),
        (RandomForestRegressor(**TREES), True),
        (ExtraTreesRegressor(**TREES), True),
        (GradientBoostingClassifier(**STAGES), False),
        (GradientBoostingRegressor(**STAGES), False),
        (HistGradientBoostingClassifier(**ITERATIONS), True),
        (HistGradientBoostingRegressor(**ITERATIONS), True),
        (LGBMClassifier(**LIGHT), True),
        (LGBMClassifier(**LIGHT), False),
        (LGBMClassifier(use_missing=False, **LIGHT), True),
        (LGBMClassifier(boosting_type="dart", **LIGHT), True),
        (LGBMClassifier(boosting_type="rf", subsample=0.5, subsample_freq=1, **LIGHT), True),
        (LGBMRegressor(**LIGHT), True),
        (XGBClassifier(**TREES), True),
        (XGBRegressor(num_parallel_tree=2, subsample=0.5, **TREES), True),
    ],
    ids=lambda value: "" if isinstance(value, bool) else type(value).__name__,
)
def test_two_classes_and_numbers(model, missing):
    X, y = load_breast_cancer(return_X_y=True)
    X = sprinkle(X, [np.nan], 0.1) if missing else X
    rows = hostile(model.fit(X, y), X, missing)
    assert np.array_equal(leaves(model, rows), opinion(model, rows))


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(**TREES),
        GradientBoostingClassifier(**STAGES),
        HistGradientBoostingClassifier(**ITERATIONS),
        LGBMClassifier(**LIGHT),
        XGBClassifier(**TREES),
    ],
    ids=lambda model: type(model).__name__,
)
def test_several_classes(model):
    X, y = load_iris(return_X_y=True)
    rows = hostile(model.fit(X, y), X, missing=False)
    assert np.array_equal(leaves(model, rows), opinion(model, rows))


def fit_on_categories(model, X: np.ndarray, y: np.ndarray):
    if isinstance(model, LGBMClassifier):
        return model.fit(X, y, categorical_feature=[0, 1])
    return model.set_params(feature_types=["c", "c", "q", "q"], enable_categorical=True).fit(X, y)


@pytest.mark.parametrize(
    "model",
    [LGBMClassifier(**LIGHT), XGBClassifier(**TREES), XGBClassifier(max_cat_to_onehot=100, **TREES)],
    ids=lambda model: type(model).__name__,
)
def test_categories(model):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 40, 800), rng.integers(0, 3, 800), rng.normal(size=(800, 2))])
    y = np.sin(X[:, 0] * 7) + (X[:, 1] == 1) + X[:, 2] > 0.3
    X = sprinkle(X, [np.nan], 0.1)
    fit_on_categories(model, X, y)
    unseen = X[:100].copy()
    unseen[:, :2] = rng.integers(40, 90, (100, 2))
    rows = np.concatenate([X, unseen])
    assert np.array_equal(leaves(model, rows), opinion(model, rows))
