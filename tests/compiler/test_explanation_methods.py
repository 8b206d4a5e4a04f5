"""Explanations by definition: the plain evaluator against the libraries, and what is refused."""

import lightgbm
import numpy as np
import pglast
import pytest
import shap
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from trainer.compiler import UnsupportedModelError, assemble, nodes
from trainer.compiler.explanations import (
    explanation_cost,
    export_explanation,
    export_path_attribution,
    path_attribution_cost,
)
from trainer.compiler.explanations import export as explanations
from trainer.compiler.explanations.decisions import Decisions, split_test
from trainer.compiler.explanations.reference import attribute_path, explain
from trainer.compiler.folding import fold

CANCER = load_breast_cancer(return_X_y=True)
IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)


def explained(model, rows):
    expr = fold(assemble(model))
    return np.array([explain(expr, row) for row in rows.tolist()])


def test_definition_is_what_lightgbm_computes():
    X, y = CANCER
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)[:, :8]
    model = lightgbm.LGBMClassifier(n_estimators=6, num_leaves=7, n_jobs=1, verbose=-1).fit(X, y)
    expected = model.predict(X[:40], pred_contrib=True)
    np.testing.assert_allclose(explained(model, X[:40]), expected, atol=1e-12, rtol=0)


def test_definition_is_what_xgboost_computes():
    X, y = IRIS
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=3, n_jobs=1).fit(X, y)
    expected = model.get_booster().predict(xgboost.DMatrix(X[::9]), pred_contribs=True)
    np.testing.assert_allclose(explained(model, X[::9]), expected.reshape(len(X[::9]), -1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (RandomForestClassifier(5, max_depth=4, random_state=0), IRIS),
        (GradientBoostingRegressor(n_estimators=5, random_state=0), DIABETES),
    ],
    ids=["forest", "boosting"],
)
def test_definition_is_what_shap_computes(model, data):
    X, y = data
    model.fit(X, y)
    oracle = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    values = np.atleast_3d(oracle.shap_values(X[::9]))
    base = np.broadcast_to(np.ravel(oracle.expected_value), (len(values), values.shape[2]))
    expected = np.concatenate([values, base[:, np.newaxis]], axis=1).transpose(0, 2, 1)
    np.testing.assert_allclose(explained(model, X[::9]), expected.reshape(len(values), -1), atol=1e-9, rtol=0)


def test_definition_for_linear_scores_is_coefficient_times_distance():
    source = nodes.StandardizeVector(nodes.FeatureVector(3), np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    expr = nodes.LinearExpr(source, np.array([[2.0, -1.0, 0.5], [0.0, 1.0, 4.0]]), np.array([0.25, -0.25]))
    background = [1.0, 0.0, 5.0]
    row = [3.0, 4.0, -5.0]
    expected = [[4.0, -2.0, -1.25, 0.25 + 1.0 + 0.25], [0.0, 2.0, -10.0, -0.25 - 1.0 + 2.0]]
    assert explain(expr, row, background) == pytest.approx(np.ravel(expected))


def test_definition_of_path_attribution():
    tree = nodes.Tree(
        feature=np.array([0, 1]),
        threshold=np.array([0.5, 0.5]),
        left=np.array([-1, -2]),
        right=np.array([1, -3]),
        missing_left=np.array([True, True]),
        leaves=np.array([[1.0], [2.0], [6.0]]),
        depth=2,
        split_cover=np.array([8.0, 4.0]),
        leaf_cover=np.array([4.0, 3.0, 1.0]),
    )
    expr = nodes.BoostedTreesExpr(nodes.FeatureVector(2), [[tree]], np.array([10.0]))
    # The means are 2 at the root, 3 at the second split.
    assert attribute_path(expr, [0.0, 0.0]) == [-1.0, 0.0, 12.0]
    assert attribute_path(expr, [1.0, 0.0]) == [1.0, -1.0, 12.0]
    assert attribute_path(expr, [1.0, 1.0]) == [1.0, 3.0, 12.0]


# The text


def test_text_is_one_function_with_a_comment():
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(*IRIS)
    text = export_explanation(model, 'a.b"c', ["one", "two", "three", "four"], revoke_from_public=True)
    create, comment, revoke = (statement.stmt for statement in pglast.parse_sql(text))
    assert [part.sval for part in create.funcname] == ["a", 'b"c']
    means = model.named_steps["standardscaler"].mean_.tolist()
    assert f"against the background [{', '.join(map(repr, means))}]" in comment.comment
    assert '["one", "two", "three", "four"]' in comment.comment
    assert revoke.is_grant is False


def test_comment_names_the_method():
    model = HistGradientBoostingClassifier(max_iter=2).fit(*IRIS)
    assert "exact Shapley values" in export_explanation(model, "f")
    assert "no Shapley values" in export_path_attribution(model, "f")


def test_tests_are_taken_once():
    X, y = CANCER
    model = lightgbm.LGBMClassifier(n_estimators=30, max_bin=7, n_jobs=1, verbose=-1).fit(X, y)
    (ensemble,) = [node for node in nodes.walk(fold(assemble(model))) if isinstance(node, nodes.TreeExpr)]
    tests = [split_test(tree, split) for tree in ensemble.trees for split in range(tree.splits)]
    decisions = Decisions(tests)
    assert len(decisions.tests) < min(len(tests), 7 * X.shape[1])
    assert [decisions.tests[decisions.places[test]] for test in tests] == tests


def test_cost_grows_with_the_model_and_the_path_is_cheaper():
    X, y = CANCER
    small = lightgbm.LGBMClassifier(n_estimators=10, num_leaves=8, n_jobs=1, verbose=-1).fit(X, y)
    large = lightgbm.LGBMClassifier(n_estimators=60, num_leaves=31, n_jobs=1, verbose=-1).fit(X, y)
    linear = LogisticRegression(max_iter=10_000).fit(X, y)
    assert explanation_cost(linear) < explanation_cost(large)
    assert explanation_cost(small) < explanation_cost(large)
    assert path_attribution_cost(large) < explanation_cost(large) / 5
    assert explanation_cost(fold(assemble(large))) == explanation_cost(large)


def test_small_models_get_tables_and_large_ones_quadrature():
    X, y = CANCER
    small = lightgbm.LGBMClassifier(n_estimators=50, num_leaves=8, n_jobs=1, verbose=-1).fit(X, y)
    large = lightgbm.LGBMClassifier(n_estimators=100, num_leaves=63, n_jobs=1, verbose=-1, min_child_samples=2).fit(
        X, y
    )
    assert "v_cell" in export_explanation(small, "f")
    assert "v_step" in export_explanation(large, "f")


# What is refused


def without_covers(expr):
    (node,) = [node for node in nodes.walk(expr) if isinstance(node, nodes.TreeExpr)]
    for tree in node.trees:
        object.__setattr__(tree, "leaf_cover", None)
    return expr


def test_trees_without_covers_are_refused():
    expr = without_covers(fold(assemble(RandomForestClassifier(2, random_state=0).fit(*IRIS))))
    with pytest.raises(UnsupportedModelError, match="how many training rows"):
        explanations.explanation_body(expr, "exact")


@pytest.mark.parametrize("background", [[1.0, 2.0], [1.0, 2.0, np.nan, 4.0], np.zeros((1, 4))])
def test_background_must_be_a_number_per_feature(background):
    model = LogisticRegression(max_iter=1000).fit(*IRIS)
    with pytest.raises(UnsupportedModelError, match="background must be 4 finite numbers"):
        export_explanation(model, "f", background=background)


def test_leaves_with_next_to_no_weight_are_refused():
    splits = 8
    cover = 1e-30 ** np.arange(splits + 1)
    tree = nodes.Tree(
        feature=np.arange(splits),
        threshold=np.zeros(splits),
        left=-1 - np.arange(splits),
        right=np.array([*range(1, splits), -1 - splits]),
        missing_left=np.zeros(splits, dtype=bool),
        leaves=np.arange(splits + 1.0)[:, np.newaxis],
        depth=splits,
        split_cover=cover[:-1],
        leaf_cover=np.array([*cover[:-1], cover[-1]]),
    )
    expr = nodes.BoostedTreesExpr(nodes.FeatureVector(splits), [[tree]], np.zeros(1))
    with pytest.raises(UnsupportedModelError, match="too small a share"):
        explanations.explanation_body(expr, "quadrature")


def test_too_large_an_explanation_is_refused(monkeypatch):
    monkeypatch.setattr(explanations, "MAXIMUM_EXACT_BYTES", 1000)
    model = RandomForestClassifier(3, random_state=0).fit(*IRIS)
    with pytest.raises(UnsupportedModelError, match="or use export_path_attribution"):
        export_explanation(model, "f")
    assert len(export_path_attribution(model, "f")) > 1000


def test_models_of_different_kinds_are_refused():
    leaf = nodes.Tree(*(np.array([], dtype=kind) for kind in (int, float, int, int, bool)), np.array([[0.25]]), 0)
    source = nodes.FeatureVector(1)
    expr = nodes.MeanVector(
        [nodes.BoostedTreesExpr(source, [[leaf]], np.zeros(1)), nodes.LinearExpr(source, np.ones((1, 1)), np.zeros(1))]
    )
    with pytest.raises(UnsupportedModelError, match="different kinds"):
        explanations.explanation_body(expr, "exact")


def test_background_is_the_centre_of_the_scaler_else_the_fill_of_the_imputer_else_zero():
    X = np.array([[1.0, 0.0, 5.0], [3.0, 1.0, np.nan], [8.0, 2.0, 9.0]])
    y = [0, 1, 1]

    def background(*steps):
        text = export_explanation(make_pipeline(*steps, LogisticRegression()).fit(X, y), "f")
        return text.split("against the background [")[1].split("]")[0]

    assert background(SimpleImputer(strategy="constant", fill_value=-1.0), StandardScaler(with_mean=False)) == (
        "-1.0, -1.0, -1.0"
    )
    assert background(SimpleImputer(), StandardScaler()) == "4.0, 1.0, 7.0"
    assert background(SimpleImputer(), OneHotEncoder(handle_unknown="ignore")) == "4.0, 1.0, 7.0"


def test_calibrated_model_explains_the_mean_of_its_folds():
    X, y = CANCER
    base = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, n_jobs=1, verbose=-1)
    model = CalibratedClassifierCV(base, cv=3).fit(X, y)
    folds = [fold.estimator.predict(X[:20], pred_contrib=True) for fold in model.calibrated_classifiers_]
    np.testing.assert_allclose(explained(model, X[:20]), np.mean(folds, axis=0), atol=1e-12, rtol=0)


def test_a_tree_that_is_too_deep_is_refused_and_keeps_its_path_attribution():
    X = np.arange(600.0).reshape(-1, 1)
    model = DecisionTreeRegressor(random_state=0).fit(X, 3.0 ** np.arange(600))
    assert model.get_depth() > 400
    with pytest.raises(UnsupportedModelError, match="splits on the longest path of one tree"):
        export_explanation(model, "explain")
    assert "CREATE" in export_path_attribution(model, "attribute")
