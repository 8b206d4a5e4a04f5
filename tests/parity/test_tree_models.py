"""Tree ensembles: compiled and library numbers are the same, bit by bit."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from agreement import assert_agreement, by_library
from hostile_rows import DECIMALS, library_thresholds, near, sprinkle, tree_thresholds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn._loss.loss import HalfSquaredError
from sklearn.compose import ColumnTransformer
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
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from threadpoolctl import threadpool_limits

from trainer.compiler import UnsupportedModelError, assemble, nodes

NAN = [np.nan]
FLOAT32_EXTREMES = [0.0, -0.0, 5e-324, -1e-310, 1e-45, 3.4e38, -3.4e38, 3.4028234663852886e38, 1e-300]
EXTREMES = [*FLOAT32_EXTREMES, np.inf, -np.inf, 1e308, -1e308, 1.7976931348623157e308]
# numpy's exp differs from the C library's in the last bit where the processor has AVX-512.
SOFTMAX_TOLERANCE = 1e-14


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small models are slower with threads, and far slower where other programs want the processors."""
    with threadpool_limits(1):
        yield


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


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile"])
def test_hist_gradient_boosting_regressor(assert_bit_equal, loss):
    X, y = load_diabetes(return_X_y=True)
    X = sprinkle(X, NAN, 0.05)
    quantile = 0.8 if loss == "quantile" else None
    model = HistGradientBoostingRegressor(loss=loss, quantile=quantile, max_iter=20, random_state=0).fit(X, y)
    assert_bit_equal(model, rows_for(model, X, EXTREMES, missing=True))


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_hist_gradient_boosting_regressor_with_logarithmic_link(assert_close, loss):
    X, y = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(loss=loss, max_iter=10, random_state=0).fit(X, y)
    assert_close(model, rows_for(model, X, EXTREMES, missing=True), 1e-12)


# Categories of the features 0, 2 and 3 of `with_categories`; next to them, unknown ones, and what casts make of them.
CATEGORIES = [0.0, 1.0, 2.0, 7.0, -3.0, 2.5, 1e9, 200.0]
NO_CATEGORIES = [*NAN, 3.0, -1.0, 2.7, np.nextafter(2.5, 3), np.nextafter(7.0, 0), 5e-324, -0.0, 256.0, 1e300, -1e9]


def with_categories(share_missing: float, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [
            rng.choice(CATEGORIES, rows),
            rng.normal(size=rows),
            rng.integers(0, 60, rows) * 0.1,
            rng.integers(0, 2, rows),
            rng.normal(size=rows) * 50,
        ]
    )
    y = (np.isin(X[:, 0], [1.0, 2.5, 200.0]) ^ (X[:, 1] > 0)) + (np.round(X[:, 2] * 10) % 3 > 1)
    return sprinkle(X, NAN, share_missing), y


def category_rows(X: np.ndarray) -> np.ndarray:
    hostile = sprinkle(X[:200], NO_CATEGORIES, 0.3)
    hostile[:, 4] = np.where(np.isnan(hostile[:, 4]), np.inf, hostile[:, 4])
    return np.concatenate([X, hostile, np.full((1, X.shape[1]), np.nan)])


@pytest.mark.parametrize(
    ("features", "share_missing"),
    [([0, 2, 3], 0.1), ([True, False, True, True, False], 0.0), ([0, 1, 2, 3], 0.1), ([2], 0.0)],
    ids=["indices", "mask", "most", "one"],
)
def test_hist_gradient_boosting_with_categories(scorer, features, share_missing):
    X, y = with_categories(share_missing)
    if features == [0, 1, 2, 3]:
        X[:, 1] = np.round(X[:, 1], 1)
    settings = {"max_iter": 12, "categorical_features": features, "min_samples_leaf": 3, "random_state": 0}
    model = HistGradientBoostingClassifier(**settings).fit(X, y > 0)
    assert_agreement(scorer, model, category_rows(X))
    model = HistGradientBoostingRegressor(**settings).fit(X, y)
    assert_agreement(scorer, model, category_rows(X), set_based=True)
    model = HistGradientBoostingClassifier(**settings).fit(X, y)
    assert_agreement(scorer, model, category_rows(X), SOFTMAX_TOLERANCE)


codes = st.sampled_from([*NO_CATEGORIES[:7], 0.0, 1.0, 2.0, 5.0, 31.0, 32.0, 33.0, 254.0])


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_hist_gradient_boosting_with_any_categories(scorer, data):
    X = data.draw(arrays.arrays(np.float64, (24, 3), elements=codes))
    X[0] = 1.0
    categorical = data.draw(st.lists(st.booleans(), min_size=3, max_size=3))
    model = HistGradientBoostingRegressor(
        max_iter=4,
        min_samples_leaf=1,
        categorical_features=categorical,
        max_leaf_nodes=data.draw(st.integers(2, 9)),
        early_stopping=False,
    )
    model.fit(X, data.draw(arrays.arrays(np.float64, 24, elements=st.floats(-5, 5, width=16))))
    assert_agreement(scorer, model, np.concatenate([X, data.draw(arrays.arrays(np.float64, (9, 3), elements=codes))]))


def test_hist_gradient_boosting_with_categories_of_pandas(scorer):
    """Categories are known by their values, wherever the column stands."""
    X, y = with_categories(0.1)
    names = ["kind", "size", "level", "flag", "slope"]
    frame = pd.DataFrame(X, columns=names)
    frame["kind"] = pd.Categorical(frame["kind"], categories=sorted(CATEGORIES, reverse=True))
    frame["flag"] = frame["flag"].astype("Int64").astype("category")
    frame["level"] = frame["level"].astype("category")
    model = HistGradientBoostingClassifier(max_iter=12, min_samples_leaf=3, random_state=0).fit(frame, y > 0)
    assert model.is_categorical_.tolist() == [True, False, True, True, False]
    scorer.install(model)
    rows = category_rows(X)
    unnamed = HistGradientBoostingClassifier(
        max_iter=12, min_samples_leaf=3, random_state=0, categorical_features=[0, 2, 3]
    ).fit(X, y > 0)
    assert np.array_equal(model.predict_proba(frame), unnamed.predict_proba(X))
    assert np.array_equal(scorer.rows(rows), unnamed.predict_proba(rows))


def test_hist_gradient_boosting_with_only_categories(scorer):
    X, y = with_categories(0.1)
    for columns in ([0, 2, 3], [0]):
        part = X[:, columns]
        model = HistGradientBoostingClassifier(
            max_iter=5, min_samples_leaf=2, categorical_features=list(range(len(columns))), random_state=0
        ).fit(part, y > 0)
        assert_agreement(scorer, model, np.concatenate([part, sprinkle(part, NO_CATEGORIES, 0.3)]))


def test_infinity_is_no_category(scorer):
    X, y = with_categories(0.0)
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[0, 2, 3], random_state=0).fit(X, y > 0)
    rows = np.repeat(X[:1], 4, axis=0)
    rows[[0, 1], [0, 3]] = np.inf, -np.inf
    rows[[2, 3], [1, 4]] = np.inf, -np.inf  # these two features are numbers
    assert_agreement(scorer, model, np.concatenate([X[:20], rows]))
    assert [outcome is None for outcome in by_library(model, rows)] == [True, True, False, False]


def test_hist_gradient_boosting_with_text_as_categories():
    frame = pd.DataFrame({"kind": pd.Categorical(["a", "b", "c", "a"] * 10), "size": np.arange(40.0)})
    model = HistGradientBoostingClassifier(max_iter=2).fit(frame, np.arange(40) % 2)
    with pytest.raises(UnsupportedModelError, match=r"categories of type (object|str), .*; fit it on numeric codes"):
        assemble(model)


def test_hist_gradient_boosting_behind_an_encoder(scorer):
    """Its own encoder then reads the codes of the other one."""
    X, y = with_categories(0.1)
    encoder = ColumnTransformer(
        [("codes", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), [0, 2])],
        remainder="passthrough",
    )
    boosting = HistGradientBoostingClassifier(max_iter=8, categorical_features=[0, 1], random_state=0)
    assert_agreement(scorer, make_pipeline(encoder, boosting).fit(X, y > 0), category_rows(X))


class OwnLoss(HalfSquaredError):  # noqa: N818  a loss is no exception
    pass


def test_hist_gradient_boosting_with_a_loss_of_its_own():
    X, y = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(loss=OwnLoss(), max_iter=2).fit(X, y)
    with pytest.raises(UnsupportedModelError, match=r"HistGradientBoostingRegressor with loss=.* is not supported"):
        assemble(model)


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(class_weight="balanced", random_state=0),
        RandomForestClassifier(n_estimators=3, random_state=0),
        GradientBoostingClassifier(n_estimators=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[0], random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_covers_add_up(model):
    X, y = binary()
    X[:, 0] = np.round(X[:, 0])
    model.fit(X, y)
    trees = [tree for node in nodes.walk(assemble(model)) if isinstance(node, nodes.TreeExpr) for tree in node.trees]
    for tree in trees:
        covers = np.concatenate([tree.split_cover, tree.leaf_cover[::-1]])  # a leaf's number is negative
        assert covers[0] == pytest.approx(len(X))
        assert np.allclose(covers[tree.left] + covers[tree.right], tree.split_cover, rtol=1e-12)
        assert (tree.leaf_cover > 0).all()


def test_mean_of_leaves_by_cover_is_the_value_of_the_root():
    X, y = load_diabetes(return_X_y=True)
    model = DecisionTreeRegressor(max_depth=6, random_state=0).fit(X, y)
    tree = assemble(model).trees[0]
    assert tree.leaf_cover @ tree.leaves[:, 0] / tree.leaf_cover.sum() == pytest.approx(model.tree_.value[0, 0, 0])


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


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
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
