"""LightGBM: compiled and library numbers are the same, bit by bit."""

import re
from itertools import combinations
from math import factorial

import lightgbm
import numpy as np
import pandas as pd
import pytest
from agreement import predicted
from hostile_rows import DECIMALS, near, sprinkle, tree_thresholds
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine, make_classification
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from trainer.compiler import UnsupportedModelError, assemble, export_to_postgres, nodes
from trainer.compiler.assemblers.lightgbm import LGBMClassifierAssembler
from trainer.compiler.folding import fold
from trainer.compiler.limits import MAXIMUM_ARGUMENTS
from trainer.compiler.reference import evaluate, leaf_of

ZERO = 1.0000000180025095e-35  # the largest magnitude that the library reads as zero
EXTREMES = [0.0, -0.0, 5e-324, -1e-310, 1e-30, -1e-30, 1e300, 1e308, -1e308, np.inf, -np.inf, 1.7976931348623157e308]
AROUND_ZERO = [sign * np.nextafter(ZERO, towards) for sign in (1, -1) for towards in (0, ZERO, 1)]
# Fractions, and values that a computer's integers of 32 bits do not hold.
NO_CATEGORY = [-0.5, -0.9999999999999999, -1, -7, 0.5, 0.9999999999999999, 1.5, 2.9999999999999996, 1000, 2147483647]
NO_CATEGORY += [2147483648.0, 2147483649.0, 4294967296.0, 4294967298.0, -2147483648.0, -4294967295.0, 1e19, 1e300]

MISSING = {
    "no missing values": {},
    "missing values": {},
    "zero as missing": {"zero_as_missing": True},
    "missing values as zero": {"use_missing": False},
}


def classifier(**parameters) -> LGBMClassifier:
    return LGBMClassifier(**{"n_estimators": 12, "n_jobs": 1, "verbose": -1, **parameters})


def regressor(**parameters) -> LGBMRegressor:
    return LGBMRegressor(**{"n_estimators": 12, "n_jobs": 1, "verbose": -1, **parameters})


def custom_objective(y, scores):
    return scores - y, np.ones(len(y))


def trees_of(model) -> list[nodes.Tree]:
    expr = fold(assemble(model))
    return [tree for node in nodes.walk(expr) if isinstance(node, nodes.TreeExpr) for tree in node.trees]


def hostile(model, X: np.ndarray, extremes: list[float]) -> np.ndarray:
    parts = [X, np.full((1, X.shape[1]), np.nan)]
    parts += [sprinkle(X[:100], values, 0.4) for values in (extremes, DECIMALS, [np.nan], AROUND_ZERO)]
    if any(tree.splits for tree in trees_of(model)):
        parts.append(near(tree_thresholds(model), X, 100))
    return np.concatenate(parts)


def evaluated(model, rows: np.ndarray) -> np.ndarray:
    expr = fold(assemble(model))
    return np.array([evaluate(expr, row) for row in rows.tolist()])


def scored_by_columns(scorer, model, rows: np.ndarray) -> np.ndarray:
    scorer.connection.execute(export_to_postgres(model, "public.score", set_based=True))
    scorer.rows(rows)  # fills the table
    arguments = ", ".join(f"features[{place}]" for place in range(1, rows.shape[1] + 1))
    query = f"SELECT score_columns({arguments}) FROM row_to_score ORDER BY id"
    return np.array([row[0] for row in scorer.connection.execute(query)], dtype=float)


@pytest.fixture
def check(scorer, assert_bit_equal):
    """Return a check of the AST and of the forms of SQL, on the training rows and on hostile ones."""

    def check(model, X: np.ndarray, extremes: list[float] = EXTREMES) -> None:
        rows = hostile(model, X, extremes)
        assert_bit_equal(model, rows)
        rows = rows[::10]
        expected = predicted(model, rows)
        assert np.array_equal(evaluated(model, rows), expected)
        for form in ("walk", "case"):
            scorer.connection.execute(export_to_postgres(model, "public.score", form=form))
            assert np.array_equal(scorer.rows(rows), expected), form
        if rows.shape[1] <= MAXIMUM_ARGUMENTS:
            assert np.array_equal(scored_by_columns(scorer, model, rows), expected)

    return check


def two_classes(missing: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    if missing == "no missing values":
        return X, y
    X[:, ::2] -= X[:, ::2].mean(axis=0)
    X[:, ::3] = sprinkle(X[:, ::3], [0.0], 0.3)
    return sprinkle(X, [np.nan], 0.1), y


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"boosting_type": "dart", "drop_rate": 0.5},
        {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1},
        {"data_sample_strategy": "goss", "top_rate": 0.3},
    ],
    ids=["gbdt", "dart", "rf", "goss"],
)
def test_ways_of_boosting(check, parameters, missing):
    X, y = two_classes(missing)
    check(classifier(**parameters, **MISSING[missing]).fit(X, y), X)


@pytest.mark.parametrize(
    "parameters",
    [
        {"sigmoid": 0.5},
        {"sigmoid": 12.3456789},
        {"sigmoid": 9.81332},  # the library reads it back as 9.813320000000001
        {"sigmoid": 8.01991e-6},
        {"sigmoid": 1234567.8},
        {"is_unbalance": True},
        {"scale_pos_weight": 3.0},
        {"class_weight": "balanced"},
        {"objective": "cross_entropy", "sigmoid": 0.5},
        {"objective": "multiclass", "num_class": 2},
        {"objective": "multiclassova", "num_class": 2, "sigmoid": 1.7},
        {"extra_trees": True, "path_smooth": 1.0, "monotone_constraints": [1] + 29 * [0]},
        {"n_estimators": 1},
        {"n_estimators": 1, "num_leaves": 200, "min_child_samples": 1},
        {"min_child_samples": 1000},
    ],
    ids=str,
)
def test_two_classes(check, parameters):
    X, y = load_breast_cancer(return_X_y=True)
    check(classifier(**parameters).fit(X, y), X)


@pytest.mark.parametrize("objective", ["multiclass", "multiclassova"])
@pytest.mark.parametrize("boosting", ["gbdt", "rf"])
@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_several_classes(check, load, boosting, objective):
    X, y = load(return_X_y=True)
    X = sprinkle(X, [np.nan], 0.1)
    sampling = {"subsample": 0.5, "subsample_freq": 1} if boosting == "rf" else {}
    check(classifier(objective=objective, boosting_type=boosting, sigmoid=1.7, **sampling).fit(X, y), X)


@pytest.mark.parametrize("square_root", [False, True], ids=["", "reg_sqrt"])
@pytest.mark.parametrize(
    "objective", ["regression", "l1", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie"]
)
def test_regressor(check, objective, square_root):
    X, y = load_diabetes(return_X_y=True)
    # Where targets may be negative, some are.
    y = y if objective in ("poisson", "gamma", "tweedie") else y - 150
    model = regressor(objective=objective, reg_sqrt=square_root).fit(X, y)
    assert len(np.unique(model.predict(X))) > 10
    check(model, X)


@pytest.mark.parametrize("objective", ["binary", "cross_entropy"])
def test_regressor_of_probabilities(check, objective):
    X, y = load_breast_cancer(return_X_y=True)
    check(regressor(objective=objective, sigmoid=0.5).fit(X, y), X)


def edited(model, old: str, new: str):
    """Return the model with its saved text changed."""
    text = re.sub("tree_sizes=.*\n", "", model.booster_.model_to_string())
    assert old in text
    model._Booster = lightgbm.Booster(model_str=text.replace(old, new))
    return model


def around_zero(missing: str) -> tuple[LGBMClassifier, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 0.0, 1.0], size=(600, 4)) * rng.choice([1e-30, 1.0, 3.0], size=(600, 4))
    y = (X[:, 0] > 0) ^ (X[:, 1] < 0) ^ (X[:, 2] == 0)
    if missing != "no missing values":
        X = sprinkle(X, [np.nan], 0.1)
    return classifier(**MISSING[missing]).fit(X, y), X


@pytest.mark.parametrize("missing", MISSING)
def test_thresholds_at_zero(check, missing):
    """The library reads tiny values as zero, and puts thresholds there."""
    model, X = around_zero(missing)
    assert np.isin(tree_thresholds(model)[1], [ZERO, np.nextafter(-ZERO, -np.inf)]).mean() > 0.5
    check(model, X)


@pytest.mark.parametrize("threshold", ["0", "5e-36"])
@pytest.mark.parametrize("missing", ["missing values", "zero as missing"])
def test_thresholds_within_zero(check, missing, threshold):
    model, X = around_zero(missing)
    check(edited(model, "1.0000000180025095e-35", threshold), X)


def categories(missing: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(900, 5))
    X[:, 0] = rng.integers(0, 30, 900)
    X[:, 1] = rng.integers(0, 3, 900)
    X[:, 2] = rng.integers(1, 150, 900) * 37
    y = np.sin(X[:, 0] * 7) + (X[:, 1] == 1) + np.cos(X[:, 2] * 3) + X[:, 3] > 0.3
    return sprinkle(X, [np.nan], missing), y


@pytest.mark.parametrize("share_missing", [0.0, 0.1])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"max_cat_to_onehot": 100},
        {"max_cat_to_onehot": 1, "cat_smooth": 1, "cat_l2": 0, "min_data_per_group": 1},
    ],
    ids=str,
)
def test_categories(check, parameters, share_missing):
    X, y = categories(share_missing)
    model = classifier(**parameters).fit(X, y, categorical_feature=[0, 1, 2])
    assert any(split for tree in trees_of(model) for split in tree.breakpoints if tree.feature[split] < 3)
    check(model, X, [*EXTREMES, *NO_CATEGORY, 1.0, 2.0, 3.0, 37.0, 74.0])


def test_categories_of_several_classes(check):
    X, _ = categories(0.05)
    y = np.digitize(np.sin(np.nan_to_num(X[:, 0]) * 5) + np.nan_to_num(X[:, 3]), [-0.5, 0.5])
    check(classifier(n_estimators=6).fit(X, y, categorical_feature=[0, 1, 2]), X, NO_CATEGORY)


def test_pandas_categories_that_are_codes(scorer):
    X, y = categories(0.1)
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["a"] = frame["a"].astype("category")
    model = classifier().fit(frame, y)
    unseen = X[:300].copy()
    unseen[:100, 0] = 30
    frame = pd.DataFrame(unseen, columns=list("abcde")).astype({"a": "category"})
    assert np.array_equal(scorer.model(model, unseen), model.predict_proba(frame))


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")  # its successor came with LightGBM 4.7
def test_stopped_early(check):
    X, y = load_breast_cancer(return_X_y=True)
    stop = lightgbm.early_stopping(3, verbose=False)
    model = classifier(n_estimators=300).fit(X[:400], y[:400], eval_set=[(X[400:], y[400:])], callbacks=[stop])
    assert 5 < model.best_iteration_ == len(trees_of(model)) < 300
    check(model, X)
    model.booster_.best_iteration = 5
    assert len(trees_of(model)) == 5
    check(model, X)


def test_continued_from_another_model(check):
    X, y = load_breast_cancer(return_X_y=True)
    first = classifier(n_estimators=4).fit(X[:300], y[:300])
    model = classifier(n_estimators=5).fit(X, y, init_model=first)
    assert len(trees_of(model)) == 9
    check(model, X)


def test_depth():
    X, y = load_breast_cancer(return_X_y=True)
    model = classifier(n_estimators=3, num_leaves=60, min_child_samples=1).fit(X, y)
    depths = model.booster_.trees_to_dataframe().groupby("tree_index")["node_depth"].max() - 1
    assert depths.max() > 6
    assert [tree.depth for tree in trees_of(model)] == depths.tolist()


def test_many_trees(assert_bit_equal):
    X, y = load_breast_cancer(return_X_y=True)
    model = classifier(n_estimators=300, num_leaves=8).fit(X, y)
    assert_bit_equal(model, hostile(model, X, EXTREMES))


@pytest.mark.parametrize("columns", [1, 250])
def test_one_feature_and_many(check, columns):
    X, y = make_classification(
        400, columns, n_informative=min(columns, 20), n_redundant=0, n_clusters_per_class=1, random_state=0
    )
    X = sprinkle(X, [np.nan], 0.1)
    check(classifier().fit(X, y), X)


@pytest.mark.parametrize("target", [0.0, 3.25, -1e-3])
def test_constant_target(check, target):
    X, _ = load_diabetes(return_X_y=True)
    check(regressor().fit(X, np.full(len(X), target)), X)


def test_decimals(check):
    """With two decimals, thresholds lie on rounded sums."""
    rng = np.random.default_rng(3)
    X = np.round(rng.uniform(-2, 2, size=(600, 3)), 2)
    check(classifier().fit(X, X[:, 0] + X[:, 1] > 0.1), X)


def test_behind_transformers(assert_bit_equal):
    X, y = two_classes("missing values")
    model = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), classifier()).fit(X, y)
    rows = np.concatenate([X, sprinkle(X[:100], [np.nan], 0.4), sprinkle(X[:100], DECIMALS, 0.4)])
    rows = np.concatenate([rows, near(tree_thresholds(model), X, 100)])
    assert np.array_equal(evaluated(model, rows[::5]), predicted(model, rows[::5]))
    assert_bit_equal(model, rows)


def test_categories_behind_an_encoder(assert_bit_equal):
    X, y = categories(0.0)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((encoder, [2, 0]), remainder="passthrough")
    model = make_pipeline(columns, classifier()).fit(X, y, lgbmclassifier__categorical_feature=[0, 1])
    rows = np.concatenate([X, sprinkle(X[:200], [np.nan, 0.0, 1.0, 2.5, 37.0, 40.0, -1.0], 0.3)])
    assert np.array_equal(evaluated(model, rows[::5]), predicted(model, rows[::5]))
    assert_bit_equal(model, rows)


def test_raw_scores():
    X, y = load_wine(return_X_y=True)
    models = [
        classifier(boosting_type="rf", subsample=0.5, subsample_freq=1).fit(X, y > 0),
        classifier(objective=custom_objective).fit(X, y > 0),
        classifier(objective="multiclassova", sigmoid=2.0).fit(X, y),
    ]
    for model in models:
        scores = LGBMClassifierAssembler(model, nodes.FeatureVector(X.shape[1])).decision_function()
        got = np.array([evaluate(scores, row) for row in X.tolist()])
        assert np.array_equal(got, model.predict_proba(X, raw_score=True).reshape(len(X), -1))
    two_scores = classifier(objective="multiclass", num_class=2).fit(X, y > 0)
    with pytest.raises(UnsupportedModelError, match="has 2 scores for 2 classes; leave objective"):
        LGBMClassifierAssembler(two_scores, nodes.FeatureVector(X.shape[1])).decision_function()


# Covers


def expectation(tree: nodes.Tree, row: list[float | None], known: set[int], node: int) -> float:
    """Return the mean of the leaves that a row can reach when only the ``known`` features are looked at."""
    if node < 0:
        return float(tree.leaves[-1 - node, 0])
    sides = [int(tree.left[node]), int(tree.right[node])]
    if tree.feature[node] in known:
        stump = nodes.Tree(
            np.zeros(1, np.int64),
            tree.threshold[[node]],
            np.array([-1]),
            np.array([-2]),
            tree.missing_left[[node]],
            np.zeros((2, 1)),
            depth=1,
            breakpoints={0: tree.breakpoints[node]} if node in tree.breakpoints else {},
        )
        return expectation(tree, row, known, sides[leaf_of(stump, [row[tree.feature[node]]])])
    covers = [tree.split_cover[side] if side >= 0 else tree.leaf_cover[-1 - side] for side in sides]
    means = [expectation(tree, row, known, side) for side in sides]
    return (covers[0] * means[0] + covers[1] * means[1]) / (covers[0] + covers[1])


def contributions(trees: list[nodes.Tree], row: list[float | None], size: int) -> list[float]:
    """Return Shapley values by their definition, and last the value of knowing nothing."""

    def value(known: tuple[int, ...]) -> float:
        return sum(expectation(tree, row, set(known), 0 if tree.splits else -1) for tree in trees)

    values = {known: value(known) for count in range(size + 1) for known in combinations(range(size), count)}
    result = []
    for feature in range(size):
        weighted = (
            (factorial(len(known)) * factorial(size - len(known) - 1) / factorial(size))
            * (values[tuple(sorted((*known, feature)))] - before)
            for known, before in values.items()
            if feature not in known
        )
        result.append(sum(weighted))
    return [*result, values[()]]


@pytest.mark.parametrize("zero_as_missing", [False, True])
def test_covers_give_the_contributions_of_the_library(zero_as_missing):
    X, y = categories(0.1)
    X = X[:, [0, 2, 3, 4]]
    model = classifier(n_estimators=4, zero_as_missing=zero_as_missing, subsample=0.7, subsample_freq=1)
    model.fit(X, y, categorical_feature=[0, 1])
    trees, rows = trees_of(model), X[:25]
    rows[::5, 2] = 0.0
    expected = model.predict(rows, pred_contrib=True)
    got = [contributions(trees, [None if np.isnan(value) else value for value in row], size=4) for row in rows.tolist()]
    assert np.abs(np.array(got) - expected).max() < 1e-12


# Any small model

feature = st.one_of(
    st.just(np.nan),
    st.just(0.0),
    st.floats(-1e6, 1e6),
    st.sampled_from([-2.0, -1.0, 1.0, 2.0]),
    st.sampled_from([*AROUND_ZERO, 0.0, -0.0, 0.1, 0.2, 0.3, 2.675, 16777217.0, 1e300, -1e300]),
)
category = st.one_of(st.just(np.nan), st.integers(0, 70).map(float), st.sampled_from([0.0, 1.0, 2.0]))
unseen = st.one_of(st.floats(-2, 70), st.sampled_from([*NO_CATEGORY, np.inf, -np.inf]))

parameters_of_models = st.fixed_dictionaries(
    {
        "boosting_type": st.sampled_from(["gbdt", "dart", "rf"]),
        "objective": st.sampled_from(["binary", "cross_entropy", "multiclass", "multiclassova"]),
        "sigmoid": st.sampled_from([1.0, 0.3, 33.33333]),
        "num_leaves": st.sampled_from([2, 4, 31]),
        "zero_as_missing": st.booleans(),
        "use_missing": st.booleans(),
        "max_cat_to_onehot": st.sampled_from([1, 4]),
    }
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters=parameters_of_models, data=st.data())
def test_any_model_and_any_rows(scorer, parameters, data):
    def matrix(count: int, categories) -> np.ndarray:
        numbers = data.draw(arrays.arrays(np.float64, (count, 2), elements=feature))
        return np.column_stack([numbers, data.draw(arrays.arrays(np.float64, count, elements=categories))])

    X, rows = matrix(30, category), matrix(8, category | unseen)
    y = data.draw(arrays.arrays(np.int64, 30, elements=st.integers(0, 1)))
    y[:2] = 0, 1
    if parameters["objective"].startswith("multiclass"):
        parameters["num_class"] = 2
    model = classifier(
        **parameters,
        n_estimators=3,
        min_child_samples=1,
        min_data_in_bin=1,
        min_data_per_group=1,
        cat_smooth=0,
        cat_l2=0,
        subsample=0.9,
        subsample_freq=1,
    )
    try:
        model.fit(X, y, categorical_feature=data.draw(st.sampled_from([[], [2]])))
    except lightgbm.basic.LightGBMError:
        reject()  # on a few odd data sets a check inside the library fails
    rows = np.concatenate([X, rows])
    expected = predicted(model, rows)
    assert np.array_equal(evaluated(model, rows), expected)
    assert np.array_equal(scorer.model(model, rows), expected)


# Refusals

NUMBERS, TARGET = load_diabetes(return_X_y=True)
IS_HIGH = TARGET > 100


@pytest.mark.parametrize(
    ("model", "target", "message"),
    [
        (classifier(), np.zeros(442), "LGBMClassifier was fitted on a single class"),
        (classifier(linear_tree=True), IS_HIGH, "linear_tree=True is not supported; use linear_tree=False"),
        (classifier(objective=custom_objective), IS_HIGH, "LGBMClassifier with a custom objective"),
        (regressor(objective=custom_objective), TARGET, "LGBMRegressor with a custom objective"),
        (classifier(objective="poisson"), IS_HIGH, "objective='poisson' is not supported; use binary"),
        (classifier(objective="multiclassova", num_class=4), IS_HIGH, "has 4 scores for 2 classes"),
        (regressor(objective="cross_entropy_lambda"), IS_HIGH, "objective='cross_entropy_lambda' is not"),
        (regressor(objective="multiclass", num_class=2), IS_HIGH, "objective='multiclass' is not"),
        (classifier(pred_early_stop=True), IS_HIGH, "pred_early_stop, which skips trees, is not supported"),
        (classifier(sigmoid=1e-20), IS_HIGH, "sigmoid=1e-20 is not supported; use a value from"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(model, target, message):
    model.fit(NUMBERS, target)
    with pytest.raises(UnsupportedModelError, match=message):
        assemble(model)


def test_ranker_is_refused():
    model = LGBMRanker(n_estimators=2, n_jobs=1, verbose=-1).fit(NUMBERS, IS_HIGH, group=[len(NUMBERS)])
    with pytest.raises(UnsupportedModelError, match="LGBMRanker is not supported"):
        assemble(model)


@pytest.mark.parametrize("values", ["letters", "numbers"])
def test_pandas_categories_other_than_codes_are_refused(values):
    category = np.where(IS_HIGH, *(("a", "b") if values == "letters" else (1, 2)))
    frame = pd.DataFrame({"number": NUMBERS[:, 0], "category": pd.Categorical(category)})
    model = classifier().fit(frame, IS_HIGH)
    with pytest.raises(UnsupportedModelError, match=r"type category.*fit it on their codes"):
        assemble(model)


@pytest.mark.parametrize("value", [1e200, np.inf, np.nan])
def test_a_leaf_beyond_measure_is_refused(value):
    model = regressor().fit(NUMBERS, TARGET)
    model.booster_.set_leaf_output(3, 1, value)
    with pytest.raises(UnsupportedModelError, match="has a leaf whose absolute value lies outside"):
        assemble(model)


def test_a_leaf_next_to_zero_is_refused():
    model = classifier(n_estimators=1, num_leaves=2).fit(NUMBERS, IS_HIGH)
    leaf = re.search(r"leaf_value=(\S+)", model.booster_.model_to_string())[1]
    with pytest.raises(UnsupportedModelError, match="has a leaf whose absolute value lies outside"):
        assemble(edited(model, leaf, "1e-200"))


def test_another_format_is_refused(monkeypatch):
    model = classifier().fit(NUMBERS, IS_HIGH)
    text = model.booster_.model_to_string().replace("version=v4", "version=v5")
    monkeypatch.setattr(model.booster_, "model_to_string", lambda: text)
    with pytest.raises(UnsupportedModelError, match="saves its model in format 'v5', which is not supported"):
        assemble(model)


def test_a_model_that_is_not_fitted_is_refused():
    with pytest.raises(UnsupportedModelError, match="LGBMClassifier is not fitted"):
        assemble(classifier())
