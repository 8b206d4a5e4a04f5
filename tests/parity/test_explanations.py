"""Explanations in the database are the libraries' own, and by definition what they are said to be."""

import lightgbm
import numpy as np
import psycopg
import pytest
import shap
import xgboost
from hostile_rows import near, sprinkle, tree_thresholds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine, make_classification
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from trainer.compiler import assemble, nodes, runtime_sql
from trainer.compiler.code_generator import FLOATS, Parameter, function_statements
from trainer.compiler.explanations import export_explanation, export_path_attribution
from trainer.compiler.explanations.export import explanation_body
from trainer.compiler.explanations.reference import attribute_path, explain
from trainer.compiler.folding import fold

CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)
WINE = load_wine(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
NAN = [np.nan]
TREE_METHODS = ("tables", "quadrature")


class Explainer:
    """Installs explanations in one database and calls them."""

    def __init__(self, connection):
        self.connection = connection
        connection.execute(runtime_sql())

    def model(self, model, rows, export=export_explanation, **options):
        self.connection.execute(export(model, "explain", **options))
        return self.rows(rows)

    def expr(self, expr, rows, method):
        body = explanation_body(expr, method)
        parameters = [Parameter("p_features", FLOATS)]
        self.connection.execute(function_statements("explain", parameters, "plpgsql", "SAFE", body, "", False))
        return self.rows(rows)

    def rows(self, rows):
        """Explain rows; a missing value is NULL in every second row, NaN in the others."""
        values = [
            [None if value is None or (np.isnan(value) and number % 2) else float(value) for value in row]
            for number, row in enumerate(rows)
        ]
        with self.connection.cursor() as cursor:
            cursor.executemany("SELECT explain(%s::float8[])", [(row,) for row in values], returning=True)
            results = []
            while True:
                results.append(cursor.fetchone()[0])
                if not cursor.nextset():
                    return np.array(results, dtype=float)


@pytest.fixture
def explainer(empty_db):
    return Explainer(empty_db)


def sums(contributions, features):
    """Return what the contributions of each output add up to."""
    return contributions.reshape(len(contributions), -1, features + 1).sum(axis=2)


def hostile(model, X, missing):
    rows = [X[:: max(1, len(X) // 40)], near(tree_thresholds(model), X, 15)]
    if missing:
        rows += [sprinkle(X[:20], NAN, 0.4), np.full((1, X.shape[1]), np.nan)]
    return np.concatenate(rows)


def shap_values(model, rows):
    """Return what the shap library says, in our layout."""
    oracle = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    values = np.atleast_3d(oracle.shap_values(rows, check_additivity=False))
    base = np.broadcast_to(np.ravel(oracle.expected_value), (len(rows), values.shape[2]))
    joined = np.concatenate([values, base[:, np.newaxis]], axis=1)
    return joined.transpose(0, 2, 1).reshape(len(rows), -1)


def raw(model, rows):
    """Return the raw output as the library has it."""
    for method in ("decision_function", "predict_proba", "predict"):
        if hasattr(model, method):
            with np.errstate(all="ignore"):
                return np.reshape(getattr(model, method)(rows), (len(rows), -1))
    raise AssertionError(model)


# LightGBM

LIGHTGBM = {
    "binary": lambda: (lightgbm.LGBMClassifier(n_estimators=30, num_leaves=15), CANCER),
    "classes": lambda: (lightgbm.LGBMClassifier(n_estimators=8), WINE),
    "regression": lambda: (lightgbm.LGBMRegressor(n_estimators=40, num_leaves=63, min_child_samples=2), DIABETES),
    "deep": lambda: (lightgbm.LGBMRegressor(n_estimators=5, num_leaves=150, min_child_samples=1), DIABETES),
    "stumps": lambda: (lightgbm.LGBMClassifier(n_estimators=12, num_leaves=2), CANCER),
    "constant": lambda: (lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=2000), CANCER),
    "dart": lambda: (lightgbm.LGBMClassifier(n_estimators=15, boosting_type="dart", num_leaves=8), CANCER),
    "random_forest": lambda: (
        lightgbm.LGBMClassifier(n_estimators=9, boosting_type="rf", bagging_freq=1, bagging_fraction=0.6), CANCER,
    ),
}  # fmt: skip


@pytest.mark.parametrize("share_missing", [0.0, 0.15])
@pytest.mark.parametrize("name", LIGHTGBM)
def test_lightgbm(explainer, name, share_missing):
    model, (X, y) = LIGHTGBM[name]()
    X = sprinkle(X, NAN, share_missing)
    model.set_params(n_jobs=1, verbose=-1, random_state=0).fit(X, y)
    rows = hostile(model, X, missing=True) if name != "constant" else X[:5]
    got = explainer.model(model, rows)
    expected = model.predict(rows, pred_contrib=True)
    scores = np.reshape(model.predict(rows, raw_score=True), (len(rows), -1))
    if name == "random_forest":
        # The library explains the sum of the trees, but passes their mean on to the link function, as we do.
        expected, scores = expected / 9, scores / 9
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(got, expected, atol=1e-9 * scale, rtol=0)
    np.testing.assert_allclose(sums(got, X.shape[1]), scores, atol=1e-9 * scale, rtol=0)


@pytest.mark.parametrize("settings", [{"zero_as_missing": True}, {"categorical_feature": [0, 1]}], ids=str)
def test_lightgbm_zeros_and_categories(explainer, settings):
    rng = np.random.default_rng(5)
    X = np.column_stack([rng.integers(0, 12, 600), rng.integers(-2, 6, 600), rng.normal(size=(600, 3)).round(1)])
    X = sprinkle(X, [np.nan, 0.0], 0.1).clip(min=-3)
    y = ((X[:, 0] % 3 == 1) ^ (X[:, 1] > 2)) + rng.normal(size=600) > 0.5
    fit = {key: settings[key] for key in ("categorical_feature",) if key in settings}
    model = lightgbm.LGBMClassifier(
        n_estimators=12, num_leaves=12, n_jobs=1, verbose=-1, min_child_samples=5, cat_smooth=1, max_cat_to_onehot=2,
        **{key: value for key, value in settings.items() if key not in fit},
    ).fit(np.where(X < 0, np.nan, X), y, **fit)  # fmt: skip
    rows = np.concatenate([X[:60], sprinkle(X[:60], [-1.0, 0.4, 3.7, 99.0, 1e300, 1e-36, np.nan], 0.5)])
    got = explainer.model(model, rows)
    np.testing.assert_allclose(got, model.predict(rows, pred_contrib=True), atol=1e-9, rtol=0)


# XGBoost

XGBOOST = {
    "binary": lambda: (xgboost.XGBClassifier(n_estimators=25, max_depth=5), CANCER),
    "classes": lambda: (xgboost.XGBClassifier(n_estimators=6, max_depth=4), WINE),
    "regression": lambda: (xgboost.XGBRegressor(n_estimators=15, max_depth=6, min_child_weight=0), DIABETES),
    "dart": lambda: (xgboost.XGBClassifier(n_estimators=12, booster="dart", rate_drop=0.3), CANCER),
    "saturated": lambda: (
        xgboost.XGBClassifier(n_estimators=40, max_depth=7, min_child_weight=0, learning_rate=1.0),
        CANCER,
    ),
    "parallel": lambda: (xgboost.XGBRFClassifier(n_estimators=12, max_depth=6), CANCER),
}


@pytest.mark.parametrize("share_missing", [0.0, 0.15])
@pytest.mark.parametrize("name", XGBOOST)
def test_xgboost(explainer, name, share_missing):
    model, (X, y) = XGBOOST[name]()
    X = sprinkle(X, NAN, share_missing)
    model.set_params(n_jobs=1, random_state=0).fit(X, y)
    rows = hostile(model, X, missing=True)
    got = explainer.model(model, rows)
    booster = model.get_booster()
    matrix = xgboost.DMatrix(rows)
    expected = booster.predict(matrix, pred_contribs=True).reshape(len(rows), -1)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(got, expected, atol=1e-5 * scale, rtol=0)
    scores = booster.predict(matrix, output_margin=True).reshape(len(rows), -1)
    np.testing.assert_allclose(sums(got, X.shape[1]), scores, atol=1e-5 * scale, rtol=0)


def test_xgboost_categories(explainer):
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.integers(0, 9, 500), rng.integers(0, 3, 500), rng.normal(size=500)]).astype(float)
    y = (X[:, 0] % 3 == 1) ^ (X[:, 1] == 2) ^ (rng.random(500) < 0.1)
    types = ["c", "c", "q"]
    model = xgboost.XGBClassifier(
        n_estimators=8, max_depth=4, n_jobs=1, feature_types=types, enable_categorical=True, max_cat_to_onehot=4
    ).fit(X, y)
    rows = np.concatenate([X[:50], sprinkle(X[:50], NAN, 0.3)])
    got = explainer.model(model, rows)
    expected = model.get_booster().predict(xgboost.DMatrix(rows, feature_types=types), pred_contribs=True)
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)


def test_xgboost_number_for_missing(explainer):
    X, y = CANCER
    X = sprinkle(X, [-1.0], 0.1)
    model = xgboost.XGBClassifier(n_estimators=10, missing=-1.0, n_jobs=1).fit(X, y)
    rows = np.concatenate([X[:30], sprinkle(X[:30], NAN, 0.2)])
    got = explainer.model(model, rows)
    expected = model.get_booster().predict(xgboost.DMatrix(rows, missing=-1.0), pred_contribs=True)
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)


# scikit-learn's trees

SHAP = {
    "tree": lambda: (DecisionTreeClassifier(max_depth=5, class_weight="balanced", random_state=0), CANCER, False),
    "tree_regression": lambda: (DecisionTreeRegressor(max_leaf_nodes=40, random_state=0), DIABETES, False),
    "forest": lambda: (RandomForestClassifier(12, max_depth=6, random_state=0), CANCER, False),
    "forest_of_classes": lambda: (RandomForestClassifier(6, random_state=0), WINE, False),
    "deep_forest": lambda: (RandomForestRegressor(3, random_state=0), DIABETES, False),
    "extra_trees": lambda: (ExtraTreesRegressor(4, max_depth=7, random_state=0), DIABETES, False),
    "boosting": lambda: (GradientBoostingClassifier(n_estimators=25, random_state=0), CANCER, False),
    "boosting_regression": lambda: (GradientBoostingRegressor(n_estimators=20, random_state=0), DIABETES, False),
    "histogram": lambda: (HistGradientBoostingClassifier(max_iter=12, random_state=0), CANCER, True),
    "histogram_regression": lambda: (HistGradientBoostingRegressor(max_iter=12, random_state=0), DIABETES, True),
}


@pytest.mark.parametrize("name", SHAP)
def test_shap(explainer, name):
    model, (X, y), missing = SHAP[name]()
    X = sprinkle(X, NAN, 0.1 if missing else 0.0)
    model.fit(X, y)
    # The oracle rounds features to float32 and thresholds not, so rows at thresholds are for other tests.
    rows = np.concatenate([X[::25], sprinkle(X[:20], NAN, 0.4)]) if missing else X[::15]
    rows = rows.astype(np.float32).astype(float)
    got = explainer.model(model, rows)
    expected = shap_values(model, rows)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(got, expected, atol=1e-9 * scale, rtol=0)
    np.testing.assert_allclose(sums(got, X.shape[1]), raw(model, rows), atol=1e-9 * scale, rtol=0)


def test_histogram_boosting_of_several_classes(explainer):
    X, y = WINE
    model = HistGradientBoostingClassifier(max_iter=6, random_state=0).fit(X, y)
    rows = hostile(model, X, missing=True)
    got = explainer.model(model, rows)
    np.testing.assert_allclose(sums(got, X.shape[1]), model.decision_function(rows), atol=1e-9, rtol=0)
    expr = fold(assemble(model))
    np.testing.assert_allclose(got[::9], [explain(expr, row) for row in rows[::9].tolist()], atol=1e-9, rtol=0)


def test_histogram_boosting_with_categories(explainer):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 9, 800), rng.normal(size=(800, 3))])
    y = (X[:, 0] % 3 == 1) ^ (X[:, 1] > 0)
    model = HistGradientBoostingClassifier(max_iter=12, categorical_features=[0], random_state=0).fit(X, y)
    rows = np.concatenate([X[:30], sprinkle(X[:30], [99.0, -1.0, 2.5, np.nan], 0.4)])
    got = explainer.model(model, rows)
    np.testing.assert_allclose(sums(got, 4), raw(model, rows), atol=1e-9, rtol=0)
    expr = fold(assemble(model))
    np.testing.assert_allclose(got, [explain(expr, row) for row in rows.tolist()], atol=1e-9, rtol=0)


def test_deep_trees_with_many_features_on_a_path(explainer):
    X, y = make_classification(1500, 40, n_informative=30, flip_y=0.4, random_state=0)
    model = RandomForestClassifier(2, max_features=1, random_state=0).fit(X, y)
    rows = X[:12].astype(np.float32).astype(float)
    got = explainer.model(model, rows)
    np.testing.assert_allclose(got, shap_values(model, rows), atol=1e-9, rtol=0)
    np.testing.assert_allclose(sums(got, 40), model.predict_proba(rows), atol=1e-9, rtol=0)


# Pipelines and calibrators


def test_columns_of_one_feature_are_one_player(explainer):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 4, 400), rng.normal(size=(400, 2))])
    y = (X[:, 0] == 2) ^ (X[:, 1] > 0.3)
    transformer = make_column_transformer(
        (OneHotEncoder(sparse_output=False), [0]), (SimpleImputer(add_indicator=True), [1, 2])
    )
    X = np.column_stack([X[:, :1], sprinkle(X[:, 1:], NAN, 0.1)])
    model = make_pipeline(transformer, GradientBoostingClassifier(n_estimators=12, random_state=0)).fit(X, y)
    expr = fold(assemble(model))
    rows = X[:40]
    for method in TREE_METHODS:
        got = explainer.expr(expr, rows, method)
        np.testing.assert_allclose(got, [explain(expr, row) for row in rows.tolist()], atol=1e-9, rtol=0)
    np.testing.assert_allclose(sums(got, 3), raw(model, rows), atol=1e-9, rtol=0)


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrated_forest_explains_the_mean_of_the_folds(explainer, method, ensemble):
    X, y = IRIS
    base = make_pipeline(StandardScaler(), RandomForestClassifier(4, max_depth=4, random_state=0))
    model = CalibratedClassifierCV(base, method=method, cv=2, ensemble=ensemble).fit(X, y)
    got = explainer.model(model, X[::7])
    folds = [fold.estimator.predict_proba(X[::7]) for fold in model.calibrated_classifiers_]
    np.testing.assert_allclose(sums(got, 4), np.mean(folds, axis=0), atol=1e-9, rtol=0)
    expr = fold(assemble(model))
    np.testing.assert_allclose(got, [explain(expr, row) for row in X[::7].tolist()], atol=1e-9, rtol=0)


# Linear models

LINEAR = {
    "binary": lambda: (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), IRIS[0], IRIS[1] == 1),
    "classes": lambda: (make_pipeline(SimpleImputer(add_indicator=True), MinMaxScaler(), LogisticRegression()), *IRIS),
    "regression": lambda: (make_pipeline(SimpleImputer(), LinearRegression()), IRIS[0], IRIS[0][:, 0] ** 2),
    "encoder": lambda: (
        make_pipeline(
            make_column_transformer(
                (make_pipeline(SimpleImputer(), OneHotEncoder(handle_unknown="ignore")), [1]),
                (
                    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
                    [0, 3],
                ),
                sparse_threshold=0,
            ),
            LogisticRegression(),
        ),
        IRIS[0].round(),
        IRIS[1],
    ),
}


@pytest.mark.parametrize("background", [None, [5.0, 3.0, 2.0, 1.0]])
@pytest.mark.parametrize("name", LINEAR)
def test_linear(explainer, name, background):
    model, X, y = LINEAR[name]()
    X = sprinkle(X, NAN, 0.1)
    model.fit(X, y)
    rows = X[::5]
    got = explainer.model(model, rows, background=background)
    scores = raw(model, rows)
    np.testing.assert_allclose(sums(got, 4), scores, atol=1e-9, rtol=0)
    if background is not None:
        base = raw(model, np.array([background]))
        np.testing.assert_allclose(got.reshape(len(rows), -1, 5)[:, :, 4], np.repeat(base, len(rows), 0), atol=1e-9)
        expr = fold(assemble(model))
        (scores,) = [node for node in nodes.walk(expr) if isinstance(node, nodes.LinearExpr)]
        expected = [explain(scores, row, background) for row in rows.tolist()]
        np.testing.assert_allclose(got, expected, atol=1e-9, rtol=0)
    np.testing.assert_array_equal(got, explainer.model(model, rows, export_path_attribution, background=background))


def test_linear_scores_do_not_underflow(explainer):
    source = nodes.CheckedVector(nodes.FeatureVector(2), False, np.inf)
    expr = nodes.LinearExpr(source, np.array([[1e-200, 2.0]]), np.zeros(1))
    got = explainer.expr(expr, [[1e-200, 0.0], [5e-324, 5e-324], [1.0, 1.0]], "exact")
    np.testing.assert_array_equal(got, [[0, 0, 0], [0, 0, 0], [1e-200, 2, 0]])


def test_calibrated_linear_model_explains_the_mean_of_the_folds(explainer):
    X, y = CANCER
    model = CalibratedClassifierCV(make_pipeline(StandardScaler(), LogisticRegression()), cv=3).fit(X, y)
    got = explainer.model(model, X[::30])
    folds = [fold.estimator.decision_function(X[::30]) for fold in model.calibrated_classifiers_]
    np.testing.assert_allclose(sums(got, 30)[:, 0], np.mean(folds, axis=0), atol=1e-9, rtol=0)


# Any trees

CELLS = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0])
VALUES = st.one_of(
    st.none(),
    CELLS,
    st.sampled_from([-np.inf, np.inf, -0.5, 0.5, 1.5, 2.5, 3.5, 9.0, np.nan, np.nextafter(2.0, 3.0), 1e308]),
)
COVERS = st.sampled_from([0.0, 1.0, 2.0, 3.0, 50.0, 1e-9, 1e-20])


@st.composite
def trees(draw, outputs, features=4):
    """Draw a tree of up to eight splits, tests of one feature repeated on a path included."""
    splits = draw(st.integers(0, 8))
    left, right, free = [], [], 0
    # Every split but the first takes the place of a leaf: its parent and its side are drawn.
    open_places = []
    for split in range(splits):
        left.append(None)
        right.append(None)
        if split:
            parent, side = open_places.pop(draw(st.integers(0, len(open_places) - 1)))
            side[parent] = split
        open_places += [(split, left), (split, right)]
    for parent, side in open_places:
        side[parent] = -1 - free
        free += 1
    leaves = max(free, 1)
    breakpoints = {}
    thresholds = []
    for split in range(splits):
        points = sorted(draw(st.sets(CELLS, min_size=1, max_size=4))) if draw(st.integers(0, 3)) == 0 else [draw(CELLS)]
        thresholds.append(draw(st.sampled_from([points[0], np.inf, -np.inf])) if len(points) == 1 else points[0])
        if len(points) > 1:
            breakpoints[split] = np.array(points)
    leaf_cover = np.array([draw(COVERS) for _ in range(leaves)])
    split_cover = np.zeros(splits)
    for split in reversed(range(splits)):
        split_cover[split] = sum(
            split_cover[child] if child >= 0 else leaf_cover[-1 - child] for child in (left[split], right[split])
        )
    values = st.sampled_from([0.0, 1.0, -2.0, 0.125, 1e-120, 300.0])
    return nodes.Tree(
        feature=np.array([draw(st.integers(0, features - 1)) for _ in range(splits)], dtype=np.int64),
        threshold=np.array(thresholds),
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        missing_left=np.array([draw(st.booleans()) for _ in range(splits)], dtype=bool),
        leaves=np.array([[draw(values) for _ in range(outputs)] for _ in range(leaves)]),
        depth=splits,
        breakpoints=breakpoints,
        split_cover=split_cover,
        leaf_cover=leaf_cover,
    )


@st.composite
def sums_of_trees(draw):
    outputs = draw(st.integers(1, 3))
    source = nodes.FeatureVector(4)
    if draw(st.booleans()):
        forest = [draw(trees(outputs)) for _ in range(draw(st.integers(1, 3)))]
        if draw(st.booleans()):
            for tree in forest:
                # Shares of classes.
                tree.leaves[:, -1] = 1 - tree.leaves[:, :-1].sum(axis=1)
        return nodes.AveragedTreesExpr(source, forest)
    size = draw(st.integers(1, 3))
    groups = [[draw(trees(1)) for _ in range(size)] for _ in range(outputs)]
    divisor = draw(st.sampled_from([None, 3.0]))
    return nodes.BoostedTreesExpr(source, groups, np.linspace(-1, 1, outputs), divisor=divisor)


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expr=sums_of_trees(), rows=st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=4))
def test_any_trees(explainer, expr, rows):
    expected = np.array([explain(expr, row) for row in rows])
    for method in TREE_METHODS:
        np.testing.assert_allclose(explainer.expr(expr, rows, method), expected, atol=1e-9, rtol=1e-12, err_msg=method)
    paths = np.array([attribute_path(expr, row) for row in rows])
    np.testing.assert_allclose(explainer.expr(expr, rows, "path"), paths, atol=1e-9, rtol=1e-12)
    np.testing.assert_allclose(sums(paths, 4), sums(expected, 4), atol=1e-9, rtol=1e-12)


# Path attribution


@pytest.mark.parametrize("name", ["binary", "classes", "regression"])
def test_path_attribution(explainer, name):
    model, (X, y) = LIGHTGBM[name]()
    X = sprinkle(X, NAN, 0.1)
    model.set_params(n_jobs=1, verbose=-1, random_state=0).fit(X, y)
    rows = hostile(model, X, missing=True)
    got = explainer.model(model, rows, export_path_attribution)
    expr = fold(assemble(model))
    scale = max(1.0, np.abs(got).max())
    expected = [attribute_path(expr, row) for row in rows[::10].tolist()]
    np.testing.assert_allclose(got[::10], expected, atol=1e-9 * scale, rtol=0)
    scores = np.reshape(model.predict(rows, raw_score=True), (len(rows), -1))
    np.testing.assert_allclose(sums(got, X.shape[1]), scores, atol=1e-9 * scale, rtol=0)


# The contract of the function


@pytest.mark.parametrize("export", [export_explanation, export_path_attribution])
@pytest.mark.parametrize("kind", ["trees", "linear"])
def test_arguments_and_errors_are_those_of_the_score_function(explainer, kind, export):
    X, y = IRIS
    base = RandomForestClassifier(3, max_depth=3, random_state=0) if kind == "trees" else LogisticRegression()
    model = make_pipeline(StandardScaler(), base).fit(X, y)
    row = X[0].tolist()
    expected = explainer.model(model, [row], export)
    connection = explainer.connection
    assert connection.execute("SELECT explain(NULL)").fetchone() == (None,)
    np.testing.assert_array_equal(explainer.rows([[*row, 99.0]]), expected)
    for wrong in (row[:3], [*row[:3], np.inf]):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            explainer.rows([wrong])
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute("SELECT explain(%s::float8[])", ([row, list(row)],))


def test_search_path_of_the_caller_has_no_say(explainer):
    connection = explainer.connection
    X, y = IRIS
    model = GradientBoostingClassifier(n_estimators=4, random_state=0).fit(X, y)
    expr = fold(assemble(model))
    connection.execute("CREATE SCHEMA evil")
    for operator, left, right, result in (
        ("+", "float8", "float8", "float8"),
        ("-", "float8", "float8", "float8"),
        ("*", "float8", "float8", "float8"),
        ("/", "float8", "float8", "float8"),
        ("+", "int", "int", "int"),
        ("=", "int", "int", "boolean"),
        ("||", "bytea", "bytea", "bytea"),
    ):
        name = f"wrong_{left}_{result}_{ord(operator[0])}"
        value = "NULL" if result != "boolean" else "true"
        connection.execute(
            f"CREATE FUNCTION evil.{name}({left}, {right}) RETURNS {result} LANGUAGE sql AS 'SELECT {value}::{result}'"
        )
        connection.execute(
            f"CREATE OPERATOR evil.{operator} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = evil.{name})"
        )
    connection.execute("SET search_path = evil, pg_catalog, public")
    for method in (*TREE_METHODS, "path"):
        body = explanation_body(expr, method)
        parameters = [Parameter("p_features", FLOATS)]
        connection.execute(function_statements("public.explain", parameters, "plpgsql", "SAFE", body, "", False))
        got = np.array(connection.execute("SELECT public.explain(%s::float8[])", (X[0].tolist(),)).fetchone()[0])
        np.testing.assert_allclose(sums(got[np.newaxis], 4), raw(model, X[:1]), atol=1e-9)
