"""XGBoost: compiled and library numbers are the same, bit by bit; the library's float32 is no tolerance here."""

import ctypes
import ctypes.util
import itertools
import json
import math
import platform
import warnings

import numpy as np
import pandas as pd
import pytest
import xgboost
from hostile_rows import DECIMALS, near, sprinkle, tree_thresholds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from m2cgen import ast
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine, make_classification
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from trainer.compiler import UnsupportedModelError, assemble, export_to_postgres, nodes
from trainer.compiler.folding import fold
from trainer.compiler.reference import evaluate, exponential_single

pytestmark = pytest.mark.filterwarnings(r"ignore:(?s).*deprecated")

NAN = [np.nan]
# The library takes every number, however large.
EXTREMES = [0.0, -0.0, 5e-324, -1e-310, 1e-45, -7e-46, 3.4e38, -3.4e38, 3.4028234663852886e38, 3.4028235677973366e38]
EXTREMES += [-3.4028235677973366e38, np.inf, -np.inf, 1e308, -1e308]
# The library calls the C library's expf; what is compiled is glibc's, and others differ in the last place.
LINK_TOLERANCE = 0.0 if platform.libc_ver()[0] == "glibc" else 2.0**-22

CANCER = load_breast_cancer(return_X_y=True)
GAPS = (sprinkle(CANCER[0], NAN, 0.1), CANCER[1])
WINE = load_wine(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
SETTINGS = {"n_estimators": 15, "max_depth": 4, "n_jobs": 1, "random_state": 0}


def classifier(**settings) -> XGBClassifier:
    return XGBClassifier(**{**SETTINGS, **settings})


def regressor(**settings) -> XGBRegressor:
    return XGBRegressor(**{**SETTINGS, **settings})


def quietly(kind, **settings):
    """Return an unfitted model of a kind that some versions of the library declare deprecated."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        return kind(**settings)


def tables(model) -> list[dict]:
    boosting = json.loads(model.get_booster().save_raw("json"))["learner"]["gradient_booster"]
    return boosting.get("gbtree", boosting)["model"]["trees"]


def neighbours(value: np.float32) -> list[float]:
    """Return the float32 next to ``value``, and the doubles around the points where rounding to float32 changes."""
    # Beyond the largest float32, the next one would be this.
    beyond = 2.0**128
    with np.errstate(over="ignore"):
        ends = [float(np.nextafter(value, np.float32(end))) for end in (-np.inf, np.inf)]
    middles = [(float(value) + np.clip(end, -beyond, beyond)) / 2 for end in ends]
    return [*ends, *(np.nextafter(middle, end) for middle in middles for end in (-np.inf, middle, np.inf))]


def near_single(model, rows: np.ndarray, count: int) -> np.ndarray:
    """Return rows with one feature at a threshold of the library, one float32 away, or where float32 rounds over."""
    rng = np.random.default_rng(1)
    splits = [
        (feature, threshold)
        for table in tables(model)
        for feature, threshold, left in zip(
            table["split_indices"], table["split_conditions"], table["left_children"], strict=True
        )
        if left >= 0
    ]
    result = rows[rng.integers(len(rows), size=count)].astype(float)
    for row, split in zip(result, rng.integers(len(splits), size=count), strict=True):
        feature, threshold = splits[split][0], np.float32(splits[split][1])
        row[feature] = rng.choice([float(threshold), *neighbours(threshold)])
    return result


def rows_for(model, X: np.ndarray) -> np.ndarray:
    parts = [X, sprinkle(X[:80], DECIMALS, 0.5), sprinkle(X[:80], EXTREMES, 0.4), sprinkle(X[:80], NAN, 0.4)]
    parts.append(np.full((1, X.shape[1]), np.nan))
    if len(tree_thresholds(model)[0]):
        parts += [near(tree_thresholds(model), X, 60), near_single(model, X, 120)]
    return np.concatenate(parts)


def predicted(model, rows) -> np.ndarray:
    """Return what the library says, as the compiled function returns it."""
    numbers = model.predict_proba(rows) if is_classifier(model) else model.predict(rows).reshape(-1, 1)
    return numbers.astype(float)


def evaluated(expr, rows: np.ndarray) -> np.ndarray:
    return np.array([evaluate(expr, row) for row in rows.tolist()], dtype=float)


def assert_equal(got: np.ndarray, expected: np.ndarray, tolerance: float = LINK_TOLERANCE) -> None:
    assert got.shape == expected.shape
    with np.errstate(invalid="ignore"):
        close = np.abs(got - expected) <= tolerance * np.abs(expected)
    different = np.flatnonzero(((got != expected) & ~close).any(axis=1))
    assert len(different) == 0, f"{len(different)} of {len(got)} rows differ, first {different[:5]}"


@pytest.fixture
def check(scorer):
    """Return a check of a fitted model in the database and, for a few rows, in Python."""

    def check(model, rows: np.ndarray, tolerance: float = LINK_TOLERANCE) -> None:
        expected = predicted(model, rows)
        few = np.random.default_rng(2).permutation(len(rows))[:60]
        assert_equal(evaluated(assemble(model), rows[few]), expected[few], tolerance)
        assert_equal(scorer.model(model, rows), expected, tolerance)

    return check


@pytest.mark.parametrize("data", [CANCER, GAPS], ids=["complete", "gaps"])
@pytest.mark.parametrize(
    "model",
    [
        classifier(),
        classifier(n_estimators=1),
        classifier(booster="dart", rate_drop=0.3),
        classifier(num_parallel_tree=3, subsample=0.5),
        classifier(tree_method="exact", gamma=3.0),
        classifier(tree_method="approx", grow_policy="lossguide", max_leaves=9),
        classifier(base_score=0.03, scale_pos_weight=7.5),
        classifier(objective="binary:hinge"),
        classifier(objective="reg:logistic", colsample_bynode=0.4),
        classifier(objective="multi:softprob", num_class=2),
        quietly(XGBRFClassifier, **SETTINGS),
    ],
    ids=[
        "default",
        "one tree",
        "dart",
        "parallel trees",
        "pruned",
        "leaf-wise",
        "base score",
        "hinge",
        "logistic regression",
        "softmax of two",
        "random forest",
    ],
)
def test_two_classes(check, model, data):
    X, y = data
    model.fit(X, y)
    check(model, rows_for(model, X))


@pytest.mark.parametrize(
    "model",
    [
        classifier(),
        classifier(booster="dart", rate_drop=0.3, normalize_type="forest", sample_type="weighted"),
        classifier(num_parallel_tree=2, subsample=0.5),
        classifier(base_score=0.2),
        quietly(XGBRFClassifier, **SETTINGS),
    ],
    ids=["default", "dart", "parallel trees", "base score", "random forest"],
)
def test_several_classes(check, model):
    X, y = WINE
    model.fit(sprinkle(X, NAN, 0.05), y)
    check(model, rows_for(model, X))


def test_many_classes(check):
    X, y = make_classification(400, 6, n_informative=6, n_redundant=0, n_classes=12, n_clusters_per_class=1)
    model = classifier(n_estimators=4).fit(X, y)
    check(model, rows_for(model, X))


def test_pruned_nodes_are_left_out():
    model = classifier(tree_method="exact", gamma=3.0).fit(*CANCER)
    assert any(int(table["tree_param"]["num_deleted"]) for table in tables(model))
    (scores,) = (node for node in nodes.walk(assemble(model)) if isinstance(node, nodes.BoostedTreesExpr))
    named = model.get_booster().trees_to_dataframe()["Feature"]
    assert sum(len(tree.leaves) for tree in scores.trees) == (named == "Leaf").sum()


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
@pytest.mark.parametrize("data", [CANCER, WINE], ids=["two classes", "three classes"])
def test_stopped_early(check, data, booster):
    X, y = data
    model = classifier(n_estimators=300, learning_rate=0.8, booster=booster, early_stopping_rounds=2)
    model.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds() < 300
    check(model, rows_for(model, X))


def test_softmax_of_numpy(check):
    """With multi:softmax, numpy does the last step; its exponential is not the C library's."""
    X, y = load_iris(return_X_y=True)
    model = classifier(objective="multi:softmax").fit(X, y)
    rows = rows_for(model, X)
    check(model, rows, 2.0**-20)
    same_trees = classifier().fit(X, y)
    assert np.array_equal(evaluated(assemble(model), rows), evaluated(assemble(same_trees), rows))


# With others, these two objectives find nothing to split.
SCALES = {"reg:squaredlogerror": 0.01}
BASES = {"reg:pseudohubererror": 150.0}


@pytest.mark.parametrize(
    "objective",
    [
        "reg:squarederror",
        "reg:squaredlogerror",
        "reg:pseudohubererror",
        "reg:absoluteerror",
        "count:poisson",
        "reg:gamma",
        "reg:tweedie",
    ],
)
def test_regression(check, objective):
    X, y = DIABETES
    model = regressor(objective=objective, base_score=BASES.get(objective)).fit(X, y * SCALES.get(objective, 1.0))
    assert len(tree_thresholds(model)[0]) > 15
    check(model, rows_for(model, X))


def test_regression_of_one_quantile(check):
    X, y = DIABETES
    model = regressor(objective="reg:quantileerror", quantile_alpha=[0.3]).fit(X, y)
    check(model, rows_for(model, X))


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_regression_by_random_forest_or_dropped_trees(check, booster):
    X, y = DIABETES
    model = quietly(XGBRFRegressor, **SETTINGS) if booster == "gbtree" else regressor(booster=booster, rate_drop=0.5)
    model.fit(X, y)
    check(model, rows_for(model, X))


@pytest.mark.parametrize("objective", ["binary:logistic", "reg:logistic", "binary:logitraw", "binary:hinge"])
def test_regression_of_a_probability(check, objective):
    X, y = GAPS
    model = regressor(objective=objective).fit(X, y)
    check(model, rows_for(model, X))


def test_margins_from_minus_100_to_100(check):
    X, y = GAPS
    forest = {"num_parallel_tree": 12, "subsample": 0.5, "colsample_bynode": 0.3, "min_child_weight": 0.0}
    model = classifier(n_estimators=1, learning_rate=90.0, reg_lambda=0.0, **forest).fit(X, y)
    rows = rows_for(model, X)
    margins = model.predict(rows, output_margin=True)
    assert margins.min() < -100
    assert margins.max() > 100
    assert len(np.unique(np.round(margins))) > 100
    check(model, rows)


def test_exponentials_beyond_single_precision(check):
    X = np.arange(12.0)[:, np.newaxis]
    model = regressor(objective="reg:gamma", n_estimators=1, learning_rate=200.0, reg_lambda=0.0, base_score=1.0)
    model.fit(X, np.exp(X[:, 0] - 6))
    expected = model.predict(X)
    assert np.isinf(expected).any()
    assert (expected == 0).any()
    check(model, X)


SENTINELS = [0, -999, -999.1, 14.25, 1e-40, 3.4028234663852886e38, -3.4028234663852886e38]


@pytest.mark.parametrize("sentinel", SENTINELS)
def test_another_value_for_missing(check, sentinel):
    """The library compares after rounding to float32: neighbours of the value that stands for missing count as well."""
    X, y = CANCER
    X = sprinkle(X, [sentinel], 0.2)
    model = classifier(missing=sentinel).fit(X, y)
    around = [sentinel, *neighbours(np.float32(sentinel))]
    check(model, np.concatenate([rows_for(model, X), sprinkle(X[:200], around, 0.4)]))


def categorical_data(rows: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.c_[rng.integers(0, 40, rows), rng.integers(0, 3, rows), rng.normal(size=(rows, 2))]
    y = (X[:, 0] % 3 == 0) ^ (X[:, 1] == 1) ^ (X[:, 2] > 0.3)
    return sprinkle(X, NAN, 0.05), y.astype(int)


CODES = [-1, -0.0, -7e-46, -8e-46, 0, 0.5, 1 - 1e-9, 0.9999999, 1, 2, 2.7, 3, 5, 7, 38.5, 39, 39.9999999, 40, 63.9, 64]
CODES += [1e9, 2.0**24 - 1, 2.0**24, 2.0**31, 2.0**32, 1e30, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("sentinel", [np.nan, 0, 3])
@pytest.mark.parametrize("most_one_hot", [1, 8, 100], ids=["sets", "sets and single categories", "single categories"])
def test_categories(check, most_one_hot, sentinel):
    X, y = categorical_data()
    model = classifier(
        feature_types=["c", "c", "q", "q"],
        enable_categorical=True,
        max_cat_to_onehot=most_one_hot,
        missing=sentinel,
    ).fit(X, y)
    assert any(table["categories"] for table in tables(model))
    check(model, np.concatenate([X, sprinkle(X[:400], CODES, 0.6), near(tree_thresholds(model), X, 60)]))


def test_categories_of_pandas(check):
    X, y = categorical_data()
    codes = np.nan_to_num(X[:, 0]).astype(int)
    frame = pd.DataFrame({"code": pd.Categorical(codes), "number": X[:, 2], "flag": pd.Categorical(codes % 2)})
    model = classifier(enable_categorical=True).fit(frame, y)
    rows = np.c_[codes, X[:, 2], codes % 2].astype(float)
    assert np.array_equal(predicted(model, frame), predicted(model, rows))
    check(model, rows)
    for names in ([f"c{code}" for code in codes], codes * 10):
        frame["code"] = pd.Categorical(names)
        with pytest.raises(UnsupportedModelError, match=r"categories of feature 1 .*Series\.cat\.codes"):
            assemble(classifier(enable_categorical=True).fit(frame, y))


@pytest.mark.parametrize("model", [classifier(), regressor()], ids=["classifier", "regressor"])
def test_trees_of_one_leaf(check, model):
    X, y = CANCER
    model.set_params(min_child_weight=1e9).fit(X, y)
    assert len(tree_thresholds(model)[0]) == 0
    check(model, rows_for(model, X))


@pytest.mark.parametrize("target", [0.0, 1.0, -3.75, 0.1])
def test_constant_target(check, target):
    X, _ = CANCER
    model = regressor().fit(X, np.full(len(X), target))
    check(model, rows_for(model, X))


def test_many_trees(check):
    X, y = GAPS
    model = classifier(n_estimators=300).fit(X, y)
    check(model, rows_for(model, X))


@pytest.mark.parametrize("columns", [1, 250])
def test_one_feature_and_many(check, columns):
    X, y = make_classification(
        300, columns, n_informative=min(columns, 20), n_redundant=0, n_clusters_per_class=1, random_state=0
    )
    model = classifier().fit(sprinkle(X, NAN, 0.1), y)
    check(model, rows_for(model, X))


def test_decimals_as_thresholds(check):
    """Thresholds are data: with two decimals every one of them rounds, and rows meet them exactly."""
    rng = np.random.default_rng(3)
    X = np.round(rng.uniform(-2, 2, size=(800, 3)), 2)
    model = classifier(tree_method="exact", max_depth=7).fit(X, X[:, 0] + X[:, 1] > 0.1)
    check(model, np.concatenate([X, near_single(model, X, 400)]))


def test_thresholds_at_the_ends_of_single_precision(check):
    X, y = CANCER
    X = sprinkle(X, [3.4028234663852886e38, -3.4028234663852886e38, 1e-45, 0.0, np.nan], 0.6)
    model = classifier().fit(X, y)
    check(model, np.concatenate([sprinkle(X, EXTREMES, 0.5), near_single(model, X, 300)]))


@pytest.mark.parametrize(
    "steps",
    [[StandardScaler()], [SimpleImputer(add_indicator=True), StandardScaler()]],
    ids=["scaler", "imputer and scaler"],
)
@pytest.mark.parametrize("sentinel", [np.nan, 0.0])
def test_pipelines(check, steps, sentinel):
    X, y = GAPS
    model = make_pipeline(*steps, classifier(missing=sentinel)).fit(X, y)
    rows = np.concatenate([X, sprinkle(X[:100], NAN, 0.3), near(tree_thresholds(model), X, 100)])
    check(model, rows)
    assert_equal(evaluated(fold(assemble(model)), rows), predicted(model, rows))


FORMS = {
    "gaps": lambda: classifier().fit(*GAPS),
    "classes": lambda: classifier(n_estimators=5).fit(*WINE),
    "regression": lambda: regressor().fit(*DIABETES),
    "counts": lambda: regressor(objective="count:poisson").fit(*DIABETES),
    "hinge": lambda: classifier(objective="binary:hinge").fit(*CANCER),
    "sentinel": lambda: classifier(missing=0).fit(*CANCER),
    "categories": lambda: classifier(feature_types=["c", "c", "q", "q"], enable_categorical=True).fit(
        *categorical_data()
    ),
}
FORM_ROWS = {"classes": WINE[0], "regression": DIABETES[0], "counts": DIABETES[0], "categories": categorical_data()[0]}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("form", ["walk", "case"])
def test_forms(scorer, name, form):
    model, X = FORMS[name](), FORM_ROWS.get(name, GAPS[0])
    rows = np.concatenate([X, near(tree_thresholds(model), X, 60), sprinkle(X[:50], EXTREMES, 0.3)])
    expected = predicted(model, rows)
    scorer.connection.execute(export_to_postgres(model, "public.score", form=form, set_based=True))
    assert_equal(scorer.rows(rows), expected)
    columns = ", ".join(f"features[{place + 1}]" for place in range(X.shape[1]))
    scored = scorer.connection.execute(f"SELECT score_columns({columns}) FROM row_to_score ORDER BY id").fetchall()
    assert_equal(np.array([row[0] for row in scored]), expected)


# Links


def c_library_expf(values: np.ndarray) -> np.ndarray:
    function = ctypes.CDLL(ctypes.util.find_library("m")).expf
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return np.array([function(value) for value in values.tolist()])


def exponents() -> np.ndarray:
    rng = np.random.default_rng(0)
    ends = np.array([-104, -103.97208, -103.97207, -103.27893, -87.33655, 88.72283, 88.72284, 89, 0], dtype=np.float32)
    around = [np.nextafter(ends, np.float32(end)) for end in (-np.inf, np.inf)]
    # An exponential that is half-way between two float32 to nine digits: rounding the exact value gives the other one.
    hard = [float.fromhex("0x1.04845ep+5"), float.fromhex("-0x1.f8cbb2p+5")]
    spread = [rng.uniform(-105, 89.5, 36_000), rng.normal(0, 1, 4_000), rng.normal(0, 1e-5, 1_000)]
    special = [-0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, np.inf, -np.inf]
    return np.concatenate([*spread, ends, *around, hard, special]).astype(np.float32)


def test_exponential_is_the_c_librarys(scorer):
    values = exponents()
    expected = c_library_expf(values)
    assert len(values) > 40_000
    (got,) = scorer.connection.execute(
        "SELECT array_agg(ml.exponential_single(x) ORDER BY n) FROM unnest(%s::float8[]) WITH ORDINALITY AS v(x, n)",
        [values.tolist()],
    ).fetchone()
    in_python = [float(exponential_single(value)) for value in values]
    for result in (np.array(got), np.array(in_python)):
        finite = np.isfinite(expected)
        assert np.array_equal(result[~finite], expected[~finite])
        assert (np.abs(result[finite] - expected[finite]) <= LINK_TOLERANCE * expected[finite]).all()


def test_powers_of_two_are_exact_in_the_database(scorer):
    """The exponential multiplies by one; PostgreSQL takes the power from the C library."""
    (got,) = scorer.connection.execute(
        "SELECT array_agg(power(2::float8, n::float8) ORDER BY n) FROM generate_series(-151, 129) AS n"
    ).fetchone()
    assert got == [math.ldexp(1.0, power) for power in range(-151, 130)]


@pytest.mark.parametrize(
    "scores",
    [
        [0.0, -104.0],
        [0.0, -103.97],
        [88.0, -15.5, -15.9],
        [3e38, -3e38, 0.0],
        [1e-45, 0.0, -1e-45],
        [-1e30, -1e30, -1.0000001e30],
        [0.0] * 40 + [-103.0, -103.5, -101.0],
        np.linspace(-110, 0, 101).tolist(),
    ],
    ids=range(8),
)
def test_softmax_at_its_limits(scorer, scores):
    """The library's sequence of operations, written down once more with the C library's exponential."""
    values = np.array(scores, dtype=np.float32)
    with np.errstate(over="ignore", under="ignore"):
        exponentials = c_library_expf(values - values.max()).astype(np.float32)
        expected = exponentials / np.float32(float(np.cumsum(exponentials, dtype=np.float64)[-1]))
    (got,) = scorer.connection.execute("SELECT ml.softmax_single(%s::float8[])", [values.tolist()]).fetchone()
    in_python = evaluate(nodes.SoftmaxSingleVector(ast.VectorVal([ast.NumVal(value) for value in values])), [])
    for result in (got, in_python):
        assert_equal(np.array([result], dtype=float), expected[np.newaxis].astype(float))


# Random models and rows

cells = st.one_of(
    st.just(np.nan),
    st.floats(-1e38, 1e38),
    st.sampled_from([0.0, -0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 2.675, 16777217.0, 5e-324, -1e-45]),
)
moderate = st.floats(0.0625, 64.0, width=16)


@st.composite
def models(draw):
    """Return an unfitted model with its target's kind, and whether its first feature is a category."""
    given_settings = {
        "n_estimators": draw(st.integers(1, 4)),
        "max_depth": draw(st.integers(1, 4)),
        "learning_rate": draw(moderate),
        "num_parallel_tree": draw(st.integers(1, 2)),
        "subsample": draw(st.sampled_from([0.6, 1.0])),
        "reg_lambda": draw(st.sampled_from([0.0, 1.0])),
        "min_child_weight": 0.0,
        "missing": draw(st.sampled_from([np.nan, 0.0, 1.0, -999.0, 2.675])),
        "tree_method": draw(st.sampled_from(["hist", "exact", "approx"])),
        "n_jobs": 1,
    }
    if draw(st.booleans()):
        given_settings |= {"booster": "dart", "rate_drop": 0.5}
    kind = draw(st.sampled_from(["two", "three", "number"]))
    is_category = given_settings["tree_method"] != "exact" and draw(st.booleans())
    if is_category:
        given_settings |= {"feature_types": ["c", "q", "q"], "enable_categorical": True}
        given_settings["max_cat_to_onehot"] = draw(st.integers(1, 6))
    return XGBRegressor(**given_settings) if kind == "number" else XGBClassifier(**given_settings), kind, is_category


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_model_and_any_rows(scorer, data):
    model, kind, is_category = data.draw(models())
    X = data.draw(arrays.arrays(np.float64, (14, 3), elements=cells))
    rows = data.draw(arrays.arrays(np.float64, (8, 3), elements=cells))
    if is_category:
        X[:, 0] = data.draw(arrays.arrays(np.int64, 14, elements=st.integers(0, 9)))
    labels = {"two": st.integers(0, 1), "three": st.integers(0, 2), "number": st.integers(-5, 5)}[kind]
    y = data.draw(arrays.arrays(np.int64, 14, elements=labels))
    y[:3] = np.arange(3) % (2 if kind == "two" else 3)
    model.fit(X, y)
    rows = np.concatenate([X, rows])
    expected = predicted(model, rows)
    assert_equal(evaluated(assemble(model), rows), expected)
    assert_equal(scorer.model(model, rows), expected)


# Covers


def shapley_values(tree: nodes.Tree, row: list[float], features: int) -> np.ndarray:
    """Return the Shapley values of one tree by their definition; the last entry is the mean of the leaves."""

    def value(known: set[int], node: int) -> float:
        if node < 0:
            return float(tree.leaves[-1 - node, 0])
        children = (int(tree.left[node]), int(tree.right[node]))
        feature = int(tree.feature[node])
        if feature in known:
            points = tree.breakpoints.get(node, tree.threshold[node : node + 1])
            left = (points < row[feature]).sum() % 2 == 0
            return value(known, children[0 if (tree.missing_left[node] if np.isnan(row[feature]) else left) else 1])
        covers = [tree.split_cover[child] if child >= 0 else tree.leaf_cover[-1 - child] for child in children]
        return sum(cover * value(known, child) for cover, child in zip(covers, children, strict=True)) / sum(covers)

    root = 0 if tree.splits else -1
    result = np.zeros(features + 1)
    result[-1] = value(set(), root)
    for feature in range(features):
        others = [other for other in range(features) if other != feature]
        for size in range(features):
            weight = math.factorial(size) * math.factorial(features - size - 1) / math.factorial(features)
            for chosen in itertools.combinations(others, size):
                result[feature] += weight * (value({*chosen, feature}, root) - value(set(chosen), root))
    return result


@pytest.mark.parametrize("boosting", [{}, {"booster": "dart", "rate_drop": 0.3}], ids=["gbtree", "dart"])
def test_covers_give_the_librarys_contributions(boosting):
    X, y = categorical_data()
    model = classifier(feature_types=["c", "c", "q", "q"], enable_categorical=True, **boosting)
    model.fit(X, y)
    rows = sprinkle(X[:6], NAN, 0.2)
    matrix = xgboost.DMatrix(rows, feature_types=model.feature_types, enable_categorical=True)
    expected = model.get_booster().predict(matrix, pred_contribs=True)
    (scores,) = (node for node in nodes.walk(assemble(model)) if isinstance(node, nodes.BoostedTreesExpr))
    for row, contributions in zip(rows, expected, strict=True):
        got = sum(shapley_values(tree, row, X.shape[1]) for tree in scores.trees)
        got[-1] += scores.base[0]
        assert np.abs(got - contributions).max() <= 1e-5


# What is refused


def squared_error(target, prediction):
    return prediction - target, np.ones_like(target)


@pytest.mark.parametrize(
    ("model", "target", "message"),
    [
        (classifier(objective=squared_error), "class", "custom objective"),
        (
            quietly(XGBClassifier, booster="gblinear", n_estimators=3, n_jobs=1),
            "class",
            "booster='gblinear' .* scikit-learn",
        ),
        (classifier(missing=np.inf), "class", "missing=inf"),
        (regressor(missing=-1e39), "number", "missing=-1e\\+39"),
        (classifier(n_estimators=0), "class", "n_estimators"),
        (classifier(), "one class", "a single class"),
        (classifier(objective="reg:squarederror"), "class", "'reg:squarederror' .* binary:logistic"),
        (classifier(objective="binary:logitraw"), "class", "'binary:logitraw' .* binary:logistic"),
        (regressor(objective="rank:pairwise"), "class", "'rank:pairwise' .* reg:squarederror"),
        (regressor(objective="survival:cox"), "number", "'survival:cox' .* reg:squarederror"),
        (regressor(objective="multi:softprob", num_class=2), "class", "'multi:softprob' .* reg:squarederror"),
        (regressor(), "numbers", "several targets or quantiles"),
        (classifier(), "labels", "several targets or quantiles"),
        (regressor(multi_strategy="multi_output_tree"), "numbers", "multi_strategy='multi_output_tree'"),
        (regressor(objective="reg:quantileerror", quantile_alpha=[0.2, 0.8]), "number", "several targets or quantiles"),
    ],
    ids=range(15),
)
def test_what_cannot_be_exact_is_refused_by_name(model, target, message):
    X, y = CANCER
    targets = {"class": y, "one class": 0 * y, "number": X[:, 0], "numbers": X[:, :2], "labels": np.c_[y, 1 - y]}
    model.fit(X, targets[target])
    with pytest.raises(UnsupportedModelError, match=message):
        assemble(model)


def test_models_of_other_devices_are_refused():
    model = classifier().fit(*CANCER)
    model.device = "cuda"
    with pytest.raises(UnsupportedModelError, match=r"device='cuda'.*set_params"):
        assemble(model)


def test_a_ranker_is_refused_and_a_model_must_be_fitted():
    with pytest.raises(UnsupportedModelError, match=r"XGBRanker is not supported; use a linear model, a tree"):
        assemble(xgboost.XGBRanker())
    with pytest.raises(UnsupportedModelError, match="XGBClassifier is not fitted"):
        assemble(XGBClassifier())


def test_infinity_is_a_number(scorer):
    """As in the library, which refuses it in training only."""
    model = classifier().fit(*CANCER)
    scorer.install(model)
    row = CANCER[0][0].copy()
    row[20] = np.inf
    assert np.array_equal(scorer.rows([row]), predicted(model, row[np.newaxis]))
