"""Linear models: equal to the library within 1e-12; the library itself varies the order of its sums."""

import numpy as np
import pytest
from hostile_rows import sprinkle
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine, make_classification
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from trainer.compiler import UnsupportedModelError, assemble

TOLERANCE = 1e-12
TINY = [0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e-200, -1e-101]
NAN = [np.nan]


def classifier(**settings) -> LogisticRegression:
    return LogisticRegression(max_iter=5000, **settings)


@pytest.mark.parametrize("share_missing", [0.0, 0.1])
@pytest.mark.parametrize(
    "imputer",
    [
        SimpleImputer(),
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(strategy="constant", fill_value=3.5),
        SimpleImputer(strategy="most_frequent"),
    ],
    ids=lambda imputer: imputer.strategy,
)
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine], ids=["binary", "several classes"])
def test_imputed_and_scaled(assert_close, load, imputer, share_missing):
    X, y = load(return_X_y=True)
    X = sprinkle(X, NAN, share_missing)
    model = make_pipeline(imputer, StandardScaler(), classifier()).fit(X, y)
    rows = np.concatenate([X, sprinkle(X[:80], NAN, 0.5), sprinkle(X[:80], TINY, 0.5), np.full_like(X[:1], np.nan)])
    assert_close(model, rows, TOLERANCE)


@pytest.mark.parametrize("scaler", [StandardScaler(with_mean=False), StandardScaler(with_std=False), "passthrough"])
def test_scaler_settings(assert_close, scaler):
    X, y = load_iris(return_X_y=True)
    model = Pipeline([("scale", scaler), ("fit", classifier())]).fit(X, y)
    assert_close(model, np.concatenate([X, sprinkle(X, TINY, 0.5)]), TOLERANCE)


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris], ids=["binary", "several classes"])
def test_without_preparation(assert_close, load):
    X, y = load(return_X_y=True)
    X = X / X.max(axis=0)
    assert_close(classifier().fit(X, y), np.concatenate([X, sprinkle(X, TINY, 0.5)]), TOLERANCE)


def test_scores_far_from_zero(assert_close):
    X, y = load_iris(return_X_y=True)
    for target in (y, y > 0):
        model = classifier().fit(X, target)
        assert_close(model, np.concatenate([X * 1e3, -X * 1e3, X * 1e30]), TOLERANCE)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # defaults that change from one release to the next
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"refit": False, "class_weight": "balanced"},
        {"solver": "saga", "l1_ratios": [0, 1], "tol": 1e-2, "use_legacy_attributes": False},
    ],
    ids=str,
)
def test_cross_validated(assert_close, settings):
    X, y = load_iris(return_X_y=True)
    for target in (y, y > 0):
        model = LogisticRegressionCV(Cs=2, cv=2, max_iter=5000, **settings)
        assert_close(make_pipeline(StandardScaler(), model).fit(X, target), X, TOLERANCE)


@pytest.mark.parametrize(
    "settings",
    [
        {"fit_intercept": False},
        {"class_weight": "balanced", "C": 1e4, "tol": 1e-2},
        {"C": np.inf, "tol": 1e-2},
        {"solver": "liblinear", "dual": True, "intercept_scaling": 3.0},
        {"solver": "liblinear", "l1_ratio": 1},
        {"solver": "newton-cg"},
        {"solver": "newton-cholesky"},
        {"solver": "sag", "tol": 1e-2},
        {"solver": "saga", "l1_ratio": 0.5, "tol": 1e-2, "C": 0.05},
    ],
    ids=str,
)
def test_forms_of_logistic_regression(assert_close, settings):
    # One of the solvers knows two classes only.
    loads = [load_breast_cancer] if settings.get("solver") == "liblinear" else [load_breast_cancer, load_wine]
    for load in loads:
        X, y = load(return_X_y=True)
        assert_close(make_pipeline(StandardScaler(), classifier(**settings)).fit(X, y), X, TOLERANCE)


def test_coefficients_in_a_sparse_matrix(assert_close):
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), classifier(solver="saga", l1_ratio=1, C=0.05, tol=1e-2)).fit(X, y)
    model[-1].sparsify()
    assert_close(model, X, TOLERANCE)


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_digits], ids=["two", "three", "ten"])
@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_stochastic_gradient_descent(assert_close, loss, load):
    X, y = load(return_X_y=True)
    for settings in ({}, {"average": True, "class_weight": "balanced"}):
        estimator = SGDClassifier(loss=loss, alpha=0.05, random_state=0, **settings)
        model = make_pipeline(StandardScaler(), estimator).fit(X[:500], y[:500])
        assert_close(model, np.concatenate([X[:300], sprinkle(X[:80], TINY, 0.5)]), TOLERANCE)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_no_class_has_a_probability(assert_close, loss):
    """Far from every class, the library takes all of them for equally probable."""
    X, y = load_iris(return_X_y=True)
    model = SGDClassifier(loss=loss, random_state=0).fit(X, y)
    model.coef_[:] = -np.abs(model.coef_) - 1
    rows = np.concatenate([X, X * 1e3])
    assert (model.predict_proba(rows) == 1 / 3).all(axis=1).any()
    assert_close(model, rows, TOLERANCE)


@pytest.mark.parametrize(
    "model",
    [
        RidgeClassifier(),
        RidgeClassifierCV(),
        LinearSVC(),
        Perceptron(),
        SGDClassifier(),
        SGDClassifier(loss="squared_error"),
    ],
    ids=repr,
)
def test_classifiers_without_probabilities(model):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(UnsupportedModelError, match="no predict_proba; fit it inside CalibratedClassifierCV"):
        assemble(make_pipeline(StandardScaler(), model).fit(X, y))


def test_feature_without_values_is_dropped(assert_close):
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), classifier())
    X[:, 1] = np.nan
    assert_close(model.fit(X, y), X, TOLERANCE)
    rows = np.where(np.isnan(X), 1.5, X)
    assert_close(model, rows, TOLERANCE)


@pytest.mark.parametrize("columns", [1, 250])
def test_one_feature_and_many(assert_close, columns):
    X, y = make_classification(
        300, columns, n_informative=min(columns, 20), n_redundant=0, n_clusters_per_class=1, random_state=0
    )
    assert_close(make_pipeline(StandardScaler(), classifier()).fit(X, y), X, TOLERANCE)


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        LinearRegression(fit_intercept=False),
        Ridge(),
        Lasso(alpha=0.1),
        SGDRegressor(random_state=0),
        SGDRegressor(penalty="l1", average=True, random_state=0),
    ],
    ids=repr,
)
def test_regressors(assert_close, model):
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), model).fit(X, y)
    assert_close(model, X, 1e-10)
