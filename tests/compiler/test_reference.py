"""The AST means what the library computes: the Python evaluator against scikit-learn, without a database."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from trainer.compiler import assemble
from trainer.compiler.reference import RefusedRowError, evaluate

BINARY = load_breast_cancer(return_X_y=True)
CLASSES = load_iris(return_X_y=True)
NUMBERS = load_diabetes(return_X_y=True)


def with_missing(X: np.ndarray, share: float = 0.1) -> np.ndarray:
    return np.where(np.random.default_rng(0).random(X.shape) < share, np.nan, X)


def compared(model, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="ignore"):
        expected = model.predict_proba(rows) if is_classifier(model) else model.predict(rows).reshape(-1, 1)
    expr = assemble(model)
    return np.array([evaluate(expr, row) for row in rows.tolist()]), expected


@pytest.mark.parametrize(
    ("model", "data", "missing"),
    [
        (HistGradientBoostingClassifier(max_iter=10), BINARY, True),
        (HistGradientBoostingClassifier(max_iter=30, early_stopping=True), BINARY, True),
        (HistGradientBoostingRegressor(max_iter=10), NUMBERS, True),
        (DecisionTreeClassifier(), CLASSES, True),
        (RandomForestClassifier(5), BINARY, True),
        (ExtraTreesClassifier(5), CLASSES, False),
        (DecisionTreeRegressor(), NUMBERS, True),
        (RandomForestRegressor(5, max_depth=5), NUMBERS, False),
        (ExtraTreesRegressor(5, max_depth=5), NUMBERS, False),
        (GradientBoostingClassifier(n_estimators=10), BINARY, False),
        (GradientBoostingClassifier(n_estimators=10, loss="exponential"), BINARY, False),
        (GradientBoostingRegressor(n_estimators=10), NUMBERS, False),
        (make_pipeline(SimpleImputer(add_indicator=True), DecisionTreeClassifier()), BINARY, True),
        (make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=5)), BINARY, True),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, tuple | bool) else "",
)
def test_trees_are_bit_equal(model, data, missing):
    X, y = data
    model.fit(with_missing(X) if missing else X, y)
    rows = np.concatenate([X[::5], with_missing(X[::7], 0.3)]) if missing else X[::5]
    got, expected = compared(model, rows)
    assert np.array_equal(got, expected)


@pytest.mark.parametrize(
    ("model", "data", "tolerance"),
    [
        (HistGradientBoostingClassifier(max_iter=10), CLASSES, 1e-14),
        (GradientBoostingClassifier(n_estimators=10), CLASSES, 1e-14),
        (HistGradientBoostingRegressor(max_iter=10, loss="poisson"), NUMBERS, 1e-12),
        (make_pipeline(StandardScaler(), LogisticRegression()), BINARY, 1e-12),
        (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), CLASSES, 1e-12),
        (make_pipeline(SimpleImputer(add_indicator=True), LinearRegression()), NUMBERS, 1e-10),
        (Ridge(), NUMBERS, 1e-10),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, tuple | float) else "",
)
def test_others_are_close(model, data, tolerance):
    X, y = data
    got, expected = compared(model.fit(X, y), X[::5])
    assert np.abs(got - expected).max() <= tolerance


cells = st.one_of(
    st.just(np.nan),
    st.floats(-1e38, 1e38),
    st.sampled_from([0.0, -0.0, 0.1, 0.5, 1.0, 2.675, 16777217.0, 5e-324, -1e-45]),
)


def matrices(rows: int, elements=cells):
    return arrays.arrays(np.float64, (rows, 3), elements=elements)


FAMILIES = {
    "hist": lambda: HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=1, early_stopping=False),
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "forest": lambda: RandomForestClassifier(n_estimators=3, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(n_estimators=3, random_state=0),
}


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_training_rows_and_any_rows(family, data):
    X = data.draw(matrices(12))
    X[0] = 1.0, 2.0, 3.0  # the library does not fit on a column without a value
    y = data.draw(arrays.arrays(np.int64, 12, elements=st.integers(0, 1)))
    y[:2] = 0, 1
    with np.errstate(all="ignore"):
        model = FAMILIES[family]().fit(X, y)
    got, expected = compared(model, np.concatenate([X, data.draw(matrices(6))]))
    assert np.array_equal(got, expected)


small = st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=25)
@given(matrices(8, st.one_of(st.just(np.nan), small)), matrices(4, st.one_of(st.just(np.nan), small)))
def test_any_rows_through_imputer_and_scaler(X, rows):
    X[0] = 1.0, 2.0, 3.0
    y = np.arange(8) % 2
    model = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression()).fit(X, y)
    got, expected = compared(model, rows)
    assert np.abs(got - expected).max() <= 1e-12


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (LogisticRegression(), np.nan),
        (LogisticRegression(), np.inf),
        (GradientBoostingClassifier(n_estimators=2), np.nan),
        (DecisionTreeClassifier(), np.inf),
        (DecisionTreeClassifier(), 1e39),
        (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), -np.inf),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else str(value),
)
def test_values_that_the_library_refuses(model, value):
    X, y = CLASSES
    model.fit(X / X.max(axis=0), y > 0)
    with pytest.raises(RefusedRowError, match="feature 2"):
        evaluate(assemble(model), [1.0, value, 1.0, 1.0])
