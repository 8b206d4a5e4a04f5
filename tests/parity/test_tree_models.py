"""Tree ensembles: compiled and library numbers are the same, bit by bit."""

import numpy as np
import pytest
from hostile_rows import DECIMALS, library_thresholds, near, sprinkle, tree_thresholds
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine, make_classification
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

NAN = [np.nan]
FLOAT32_EXTREMES = [0.0, -0.0, 5e-324, -1e-310, 1e-45, 3.4e38, -3.4e38, 3.4028234663852886e38, 1e-300]
EXTREMES = [*FLOAT32_EXTREMES, np.inf, -np.inf, 1e308, -1e308, 1.7976931348623157e308]
# numpy's exp differs from the C library's in the last bit where the processor has AVX-512.
SOFTMAX_TOLERANCE = 1e-14


def binary(missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return sprinkle(X, NAN, missing), y


def rows_for(model, X, extremes, missing) -> np.ndarray:
    parts = [X, near(tree_thresholds(model), X, 150), sprinkle(X[:80], DECIMALS, 0.5)]
    parts.append(sprinkle(X[:120], extremes, 0.4))
    if missing:
        parts.append(sprinkle(X[:150], NAN, 0.4))
        parts.append(np.full((1, X.shape[1]), np.nan))
    return np.concatenate(parts)


@pytest.mark.parametrize("share_missing", [0.0, 0.1])
@pytest.mark.parametrize(
    "settings",
    [
        {"max_iter": 40},
        {"max_iter": 1},
        {"max_iter": 30, "early_stopping": True, "n_iter_no_change": 2},
        {"max_iter": 10, "max_leaf_nodes": None, "min_samples_leaf": 1},
        {"max_iter": 20, "monotonic_cst": [1] * 30, "l2_regularization": 1.0},
        {"max_iter": 3, "min_samples_leaf": 1000},
    ],
)
def test_hist_gradient_boosting_binary(assert_bit_equal, settings, share_missing):
    X, y = binary(share_missing)
    model = HistGradientBoostingClassifier(random_state=0, **settings).fit(X, y)
    has_splits = len(tree_thresholds(model)[0]) > 0
    assert_bit_equal(model, rows_for(model, X, EXTREMES, missing=True) if has_splits else X)


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_hist_gradient_boosting_of_several_classes(assert_close, load):
    X, y = load(return_X_y=True)
    X = sprinkle(X, NAN, 0.05)
    model = HistGradientBoostingClassifier(max_iter=15, random_state=0).fit(X, y)
    assert_close(model, rows_for(model, X, EXTREMES, missing=True), SOFTMAX_TOLERANCE)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_hist_gradient_boosting_regressor(assert_bit_equal, loss):
    X, y = load_diabetes(return_X_y=True)
    X = sprinkle(X, NAN, 0.05)
    model = HistGradientBoostingRegressor(loss=loss, max_iter=20, random_state=0).fit(X, y)
    assert_bit_equal(model, rows_for(model, X, EXTREMES, missing=True))


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_hist_gradient_boosting_regressor_with_logarithmic_link(assert_close, loss):
    X, y = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(loss=loss, max_iter=10, random_state=0).fit(X, y)
    assert_close(model, rows_for(model, X, EXTREMES, missing=True), 1e-12)


@pytest.mark.parametrize("share_missing", [0.0, 0.1])
@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        DecisionTreeClassifier(max_leaf_nodes=6, class_weight="balanced", random_state=0),
        ExtraTreeClassifier(random_state=0),
        RandomForestClassifier(n_estimators=12, random_state=0),
        RandomForestClassifier(n_estimators=7, max_depth=3, class_weight="balanced", random_state=0),
        ExtraTreesClassifier(n_estimators=8, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_forest_binary(assert_bit_equal, model, share_missing):
    X, y = binary(share_missing)
    model.fit(X, y)
    rows = rows_for(model, X, FLOAT32_EXTREMES, missing=True)
    assert_bit_equal(model, np.concatenate([rows, near(library_thresholds(model), X, 150)]))


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(n_estimators=9, random_state=0),
        ExtraTreesClassifier(n_estimators=5, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_forest_of_several_classes(assert_bit_equal, model):
    X, y = load_wine(return_X_y=True)
    model.fit(sprinkle(X, NAN, 0.1), y)
    rows = rows_for(model, X, FLOAT32_EXTREMES, missing=True)
    assert_bit_equal(model, np.concatenate([rows, near(library_thresholds(model), X, 150)]))


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeRegressor(random_state=0),
        DecisionTreeRegressor(criterion="absolute_error", max_depth=4, random_state=0),
        ExtraTreeRegressor(random_state=0),
        RandomForestRegressor(n_estimators=7, random_state=0),
        ExtraTreesRegressor(n_estimators=7, max_depth=8, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_forest_regressor(assert_bit_equal, model):
    X, y = load_diabetes(return_X_y=True)
    model.fit(X, y)
    # With some criteria the library takes no missing values.
    takes_missing = model.__sklearn_tags__().input_tags.allow_nan
    rows = rows_for(model, X, FLOAT32_EXTREMES, missing=takes_missing)
    assert_bit_equal(model, np.concatenate([rows, near(library_thresholds(model), X, 150)]))


@pytest.mark.parametrize(
    "settings",
    [{}, {"loss": "exponential"}, {"init": "zero"}, {"n_estimators": 1}, {"subsample": 0.5, "max_depth": 5}],
)
def test_gradient_boosting_binary(assert_bit_equal, settings):
    X, y = binary()
    model = GradientBoostingClassifier(**{"n_estimators": 25, "random_state": 0, **settings}).fit(X, y)
    rows = rows_for(model, X, FLOAT32_EXTREMES, missing=False)
    assert_bit_equal(model, np.concatenate([rows, near(library_thresholds(model), X, 150)]))


def test_gradient_boosting_stopped_early(assert_bit_equal):
    X, y = binary()
    model = GradientBoostingClassifier(n_estimators=200, n_iter_no_change=2, random_state=0).fit(X, y)
    assert model.n_estimators_ < 200
    assert_bit_equal(model, rows_for(model, X, FLOAT32_EXTREMES, missing=False))


def test_gradient_boosting_of_several_classes(assert_close):
    X, y = load_iris(return_X_y=True)
    model = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(X, y)
    assert_close(model, rows_for(model, X, FLOAT32_EXTREMES, missing=False), SOFTMAX_TOLERANCE)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_gradient_boosting_regressor(assert_bit_equal, loss):
    X, y = load_diabetes(return_X_y=True)
    model = GradientBoostingRegressor(loss=loss, n_estimators=15, random_state=0).fit(X, y)
    assert_bit_equal(model, rows_for(model, X, FLOAT32_EXTREMES, missing=False))


@pytest.mark.parametrize(
    "steps",
    [
        [SimpleImputer(strategy="median", add_indicator=True)],
        [SimpleImputer(strategy="constant", fill_value=-7.25), StandardScaler()],
        [StandardScaler()],
        [StandardScaler(with_mean=False)],
    ],
    ids=["median and indicator", "constant and scaler", "scaler", "scaler without mean"],
)
@pytest.mark.parametrize("estimator", [HistGradientBoostingClassifier, RandomForestClassifier])
def test_pipelines_of_trees(assert_bit_equal, steps, estimator):
    X, y = binary(0.1)
    size = {"max_iter": 10} if estimator is HistGradientBoostingClassifier else {"n_estimators": 5}
    model = make_pipeline(*steps, estimator(random_state=0, **size)).fit(X, y)
    tiny = [value for value in FLOAT32_EXTREMES if abs(value) < 1]
    assert_bit_equal(model, np.concatenate([X, sprinkle(X, NAN, 0.3), sprinkle(X[:100], tiny, 0.3)]))


@pytest.mark.parametrize("columns", [1, 230])
def test_one_feature_and_many(assert_bit_equal, columns):
    X, y = make_classification(
        400, columns, n_informative=min(columns, 20), n_redundant=0, n_clusters_per_class=1, random_state=0
    )
    X = sprinkle(X, NAN, 0.1)
    for model in (
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        RandomForestClassifier(n_estimators=5, random_state=0),
    ):
        model.fit(X, y)
        assert_bit_equal(model, rows_for(model, X, FLOAT32_EXTREMES, missing=True))


def test_one_class(assert_bit_equal):
    X, _ = binary()
    assert_bit_equal(DecisionTreeClassifier().fit(X, np.zeros(len(X))), X)


def test_decimals_at_float32_thresholds(assert_bit_equal):
    """With two decimals every threshold lies half-way between values that float32 moves."""
    rng = np.random.default_rng(3)
    X = np.round(rng.uniform(-2, 2, size=(800, 3)), 2)
    y = (X[:, 0] + X[:, 1] > 0.1).astype(int)
    for model in (
        DecisionTreeClassifier(random_state=0),
        ExtraTreesClassifier(n_estimators=5, random_state=0),
    ):
        model.fit(X, y)
        assert_bit_equal(model, np.concatenate([X, near(library_thresholds(model), X, 300)]))
