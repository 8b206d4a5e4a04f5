"""The models of m2cgen's own end-to-end tests (its commit 9784632), run through this compiler.

m2cgen compares six decimals; here trees are compared bit by bit and sums of products to 1e-12. Its data set on house
prices is no longer shipped with scikit-learn: diabetes takes its place. What this compiler refuses is listed with the
reason; nothing is left out but models of lightning and statsmodels, which the refusal by class name covers.
"""

import warnings

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn import ensemble, linear_model, svm, tree
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from trainer.compiler import UnsupportedModelError, export_to_postgres

SEED = 1234
DATA = {
    "regression": load_diabetes(return_X_y=True),
    "classes": load_iris(return_X_y=True),
    "binary": load_breast_cancer(return_X_y=True),
}
_random = np.random.RandomState(7)
_wide = _random.random_sample((1000, 200))
_narrow = _random.random_sample((100, 20)) - 0.5
DATA["regression_random"] = (_wide, _random.random_sample(1000))
DATA["classes_random"] = (_wide, _random.randint(3, size=1000))
DATA["binary_random"] = (_wide, _random.randint(2, size=1000))
DATA["classes_missing"] = (_narrow, _random.randint(3, size=100))
DATA["binary_missing"] = (_narrow, _random.randint(2, size=100))
DATA["bounded"] = (DATA["regression"][0], np.arctan(DATA["regression"][1]) / np.pi + 0.5)

EXACT = 0.0
LINEAR = 1e-12

LIGHTGBM = {"n_estimators": 10, "random_state": SEED, "n_jobs": 1, "verbose": -1}
LIGHTGBM_LARGE = {**LIGHTGBM, "n_estimators": 100, "num_leaves": 100, "max_depth": 64}
XGBOOST = {"base_score": 0.6, "n_estimators": 10, "random_state": SEED, "n_jobs": 1}
XGBOOST_FORESTS = {
    **XGBOOST,
    "n_estimators": 5,
    "num_parallel_tree": 3,
    "subsample": 0.8,
    "colsample_bynode": 0.8,
    "learning_rate": 1.0,
}
XGBOOST_LARGE = {**XGBOOST, "n_estimators": 100, "max_depth": 12}
FOREST = {"n_estimators": 10, "random_state": SEED}
FAMILIES = (("regression", "Regressor"), ("classes", "Classifier"), ("binary", "Classifier"))


def boosted():
    """Yield data set, model and tolerance of LightGBM and XGBoost."""
    settings = {
        "LGBM": (
            LIGHTGBM,
            {**LIGHTGBM, "boosting_type": "dart", "max_drop": 30},
            {**LIGHTGBM, "boosting_type": "goss", "top_rate": 0.3, "other_rate": 0.2},
            {**LIGHTGBM, "boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1},
            {**LIGHTGBM, "extra_trees": True},
        ),
        "XGB": (XGBOOST, {**XGBOOST, "tree_method": "hist"}, XGBOOST_FORESTS),
        "XGBRF": (XGBOOST,),
    }
    for prefix, several in settings.items():
        library = lightgbm if prefix == "LGBM" else xgboost
        for options in several:
            for data, kind in FAMILIES:
                # base_score of a regression is a value, of a classification a probability.
                yield data, getattr(library, prefix + kind)(**options), EXACT
    for library, prefix, options in ((lightgbm, "LGBM", LIGHTGBM_LARGE), (xgboost, "XGB", XGBOOST_LARGE)):
        for data, kind in FAMILIES:
            yield f"{data}_random", getattr(library, prefix + kind)(**options), EXACT
    for data in ("classes_missing", "binary_missing"):
        yield data, lightgbm.LGBMClassifier(**LIGHTGBM), EXACT
    for options in (
        {"objective": "mse", "reg_sqrt": True},
        {"objective": "mae"},
        {"objective": "huber", "alpha": 0.5},
        {"objective": "fair", "fair_c": 0.5},
        {"objective": "poisson", "poisson_max_delta_step": 0.2},
        {"objective": "quantile", "alpha": 0.2},
        {"objective": "mape"},
        {"objective": "gamma"},
        {"objective": "tweedie", "tweedie_variance_power": 1.7},
    ):
        yield "regression", lightgbm.LGBMRegressor(**LIGHTGBM, **options), EXACT
    yield "bounded", lightgbm.LGBMRegressor(**LIGHTGBM, objective="xentropy"), EXACT
    yield "classes", lightgbm.LGBMClassifier(**LIGHTGBM, objective="ovr", sigmoid=0.5), EXACT
    yield "binary", lightgbm.LGBMClassifier(**LIGHTGBM, sigmoid=1.5), EXACT


def linear():
    """Yield data set, model and tolerance of scikit-learn's linear models."""
    for model in (
        svm.LinearSVR(random_state=SEED),
        linear_model.ARDRegression(),
        linear_model.BayesianRidge(),
        linear_model.ElasticNet(random_state=SEED),
        linear_model.ElasticNetCV(random_state=SEED),
        linear_model.GammaRegressor(),
        linear_model.HuberRegressor(),
        linear_model.Lars(),
        linear_model.LarsCV(),
        linear_model.Lasso(random_state=SEED),
        linear_model.LassoCV(random_state=SEED),
        linear_model.LassoLars(),
        linear_model.LassoLarsCV(),
        linear_model.LassoLarsIC(),
        linear_model.LinearRegression(),
        linear_model.OrthogonalMatchingPursuit(),
        linear_model.OrthogonalMatchingPursuitCV(),
        linear_model.PoissonRegressor(),
        linear_model.Ridge(random_state=SEED),
        linear_model.RidgeCV(),
        linear_model.SGDRegressor(random_state=SEED),
        linear_model.TheilSenRegressor(random_state=SEED, max_subpopulation=100),
        linear_model.TweedieRegressor(power=0.0),
        linear_model.TweedieRegressor(power=1.0),
        linear_model.TweedieRegressor(power=1.5),
        linear_model.TweedieRegressor(power=2.0),
        linear_model.TweedieRegressor(power=3.0),
    ):
        yield "regression", model, LINEAR
    for data in ("classes", "binary"):
        yield data, linear_model.LogisticRegression(random_state=SEED), LINEAR
        yield data, linear_model.LogisticRegressionCV(random_state=SEED, use_legacy_attributes=False), LINEAR
        yield data, linear_model.SGDClassifier(random_state=SEED, loss="log_loss"), LINEAR


def trees():
    """Yield data set, model and tolerance of scikit-learn's trees and forests."""
    for data, kind in FAMILIES:
        yield data, getattr(tree, f"DecisionTree{kind}")(random_state=SEED), EXACT
        yield data, getattr(tree, f"ExtraTree{kind}")(random_state=SEED), EXACT
        yield data, getattr(ensemble, f"ExtraTrees{kind}")(**FOREST), EXACT
        yield data, getattr(ensemble, f"RandomForest{kind}")(**FOREST), EXACT


REFUSED = [
    ("bounded", lightgbm.LGBMRegressor(**LIGHTGBM, objective="xentlambda"), "cross_entropy_lambda"),
    ("regression", xgboost.XGBRegressor(**XGBOOST, booster="gblinear"), "gblinear"),
    ("regression", svm.SVR(), "SVR is not supported"),
    ("regression", svm.NuSVR(), "NuSVR is not supported"),
    ("regression", svm.OneClassSVM(), "OneClassSVM is not supported"),
    ("binary", svm.SVC(), "SVC is not supported"),
    ("binary", svm.NuSVC(nu=0.1), "NuSVC is not supported"),
    ("binary", svm.LinearSVC(), "LinearSVC"),
    ("binary", linear_model.RidgeClassifier(), "RidgeClassifier"),
    ("binary", linear_model.Perceptron(), "Perceptron"),
    ("binary", linear_model.SGDClassifier(), "SGDClassifier"),
    ("regression", linear_model.RANSACRegressor(random_state=SEED), "RANSACRegressor is not supported"),
]
MODELS = [*boosted(), *linear(), *trees()]


def name(data, model):
    changed = {
        key: value for key, value in model.get_params().items() if key in ("boosting_type", "objective", "power")
    }
    return "-".join([type(model).__name__, data, *(str(value) for value in changed.values() if value is not None)])


def fitted(data, model):
    X, y = DATA[data]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence and deprecation, of which m2cgen's settings have their share
        return model.fit(X, y)


@pytest.mark.parametrize(
    ("data", "model", "tolerance"), MODELS, ids=[f"{n}-{name(*item[:2])}" for n, item in enumerate(MODELS)]
)
def test_model(scorer, data, model, tolerance):
    model = fitted(data, model)
    rows = DATA[data][0][:60]
    if "missing" in data:
        rows = np.vstack([rows, np.full((1, rows.shape[1]), np.nan)])
    is_classifier = hasattr(model, "classes_")
    expected = model.predict_proba(rows) if is_classifier else model.predict(rows).reshape(-1, 1)
    got = scorer.model(model, rows)
    assert got.shape == expected.shape
    if tolerance == EXACT:
        assert np.array_equal(got, expected)
    else:
        assert np.abs(got - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(("data", "model", "reason"), REFUSED, ids=[type(item[1]).__name__ for item in REFUSED])
def test_refused(data, model, reason):
    with pytest.raises(UnsupportedModelError, match=reason):
        export_to_postgres(fitted(data, model), "score")
