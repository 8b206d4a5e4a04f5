"""Transformers in front of trees and of linear models: equal to the library, whatever a row holds."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from agreement import assert_agreement, by_library, raw_thresholds, stack
from hostile_rows import near, sprinkle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from trainer.compiler import UnsupportedModelError, assemble, export_to_postgres

LINEAR_TOLERANCE = 1e-12
NAN = [np.nan]
# Next to known categories, unknown ones, and what a careless cast would make known.
HOSTILE = [np.nan, 7.0, 2.7, -1.0, -0.0, 3.0, np.nextafter(3.0, 9), np.nextafter(3.0, 0), 0.1, np.nextafter(0.1, 1)]
HOSTILE += [np.nextafter(0.1, 0), 1e9, 1e9 + 1e-7, -1e-310, 5e-324, 0.5]

CLASSIFIERS = {
    "hist": lambda: HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=3, random_state=0),
    "forest": lambda: RandomForestClassifier(n_estimators=4, random_state=0),
    "logistic": lambda: LogisticRegression(max_iter=2000),
    "lightgbm": lambda: LGBMClassifier(n_estimators=20, min_child_samples=3, n_jobs=1, verbose=-1),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small models are slower with threads, and far slower where other programs want the processors."""
    with threadpool_limits(1):
        yield


def mixed(missing: float = 0.08, rows: int = 260) -> tuple[np.ndarray, np.ndarray]:
    """Return three columns of categories (the last one binary) around two of numbers."""
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [
            rng.integers(0, 6, rows),
            rng.choice([-1.5, 0.0, 0.1, 2.7, 1e9], rows, p=[0.3, 0.3, 0.2, 0.15, 0.05]),
            rng.normal(size=rows),
            rng.normal(size=rows) * 100,
            rng.integers(0, 2, rows),
        ]
    ).astype(float)
    y = ((X[:, 0] % 2 > 0) ^ (X[:, 2] + X[:, 1] > 0)).astype(int)
    return sprinkle(X, NAN, missing), y


def tolerance_of(family: str) -> float:
    return LINEAR_TOLERANCE if family == "logistic" else 0.0


def check(scorer, family: str, transformer, X=None, y=None, hostile=HOSTILE, **export) -> None:
    """Fit a pipeline and compare training rows, hostile ones and those next to folded thresholds."""
    if X is None:
        X, y = mixed()
    model = make_pipeline(clone(transformer), CLASSIFIERS[family]()).fit(X, y)
    rows = [X[:100], sprinkle(X[:40], hostile, 0.2), np.full((1, X.shape[1]), np.nan)]
    if family != "logistic":
        rows.append(near(raw_thresholds(model), X, 15))
    assert_agreement(scorer, model, stack(*rows), tolerance_of(family), **export)


SCALERS = [
    MinMaxScaler(),
    MinMaxScaler(feature_range=(-3, 7.7), clip=True),
    RobustScaler(),
    RobustScaler(with_centering=False, quantile_range=(5, 90)),
    RobustScaler(with_scaling=False),
    RobustScaler(unit_variance=True),
    MaxAbsScaler(),
    MaxAbsScaler(clip=True),
    StandardScaler(),
    make_pipeline(MaxAbsScaler(), MinMaxScaler(clip=True), StandardScaler()),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
@pytest.mark.parametrize("family", ["hist", "logistic"])
def test_scalers(scorer, family, scaler):
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:200, :12]
    transformer = make_pipeline(SimpleImputer(), scaler) if family == "logistic" else scaler
    hostile = [0.0, -0.0, 5e-324, -1e-310, 1e-200, 0.1, 123456.789, 16777217.0, np.nan, -7.25]
    check(scorer, family, transformer, sprinkle(X, NAN, 0.05), y[:200], hostile)


def one_hot(sparse_threshold: float = 0.3, **parameters) -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(), MinMaxScaler())
    return ColumnTransformer(
        [("categories", OneHotEncoder(**parameters), [0, 1, 4]), ("numbers", numbers, [2, 3])],
        sparse_threshold=sparse_threshold,
    )


ONE_HOT = [
    {},
    {"handle_unknown": "infrequent_if_exist", "min_frequency": 40},
    {"handle_unknown": "ignore"},
    {"handle_unknown": "warn", "max_categories": 3},
    {"handle_unknown": "ignore", "min_frequency": 0.15},
    {"drop": "first"},
    {"drop": "if_binary", "max_categories": 4},
    {"drop": [2.0, 0.1, np.nan]},
    {"dtype": np.int8, "handle_unknown": "ignore"},
    {"categories": [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [-1.5, 0.1], [0.0, 1.0]], "handle_unknown": "ignore"},
]
ORDINAL = [
    {"handle_unknown": "use_encoded_value", "unknown_value": np.nan, "max_categories": 3},
    {},
    {"handle_unknown": "use_encoded_value", "unknown_value": -1},
    {"handle_unknown": "use_encoded_value", "unknown_value": 99, "encoded_missing_value": -2, "min_frequency": 40},
    {"handle_unknown": "use_encoded_value", "unknown_value": -1, "encoded_missing_value": -2, "dtype": np.int32},
]


@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
@pytest.mark.parametrize("parameters", ONE_HOT, ids=str)
def test_one_hot_encoder(scorer, parameters):
    check(scorer, "forest", one_hot(**parameters))


@pytest.mark.parametrize("parameters", ONE_HOT[:2], ids=str)
@pytest.mark.parametrize("family", ["hist", "logistic"])
def test_one_hot_encoder_and_other_families(scorer, family, parameters):
    # HistGradientBoosting takes no sparse matrix.
    check(scorer, family, one_hot(0, **parameters))


def ordinal(**parameters) -> Pipeline:
    encoder = ColumnTransformer([("codes", OrdinalEncoder(**parameters), [0, 1, 4])], remainder="passthrough")
    return make_pipeline(encoder, SimpleImputer(add_indicator=True))


@pytest.mark.parametrize("parameters", ORDINAL, ids=str)
def test_ordinal_encoder(scorer, parameters):
    check(scorer, "hist", ordinal(**parameters))


@pytest.mark.parametrize("family", ["forest", "logistic"])
def test_ordinal_encoder_and_other_families(scorer, family):
    check(scorer, family, ordinal(**ORDINAL[0]))


def test_categories_next_to_each_other(scorer):
    values = [-1.0, -0.0, 5e-324, 0.1, np.nextafter(0.1, 1), 1.7976931348623157e308, -1.7976931348623157e308]
    X = np.array(values * 6)[:, np.newaxis]
    y = np.arange(len(X)) % len(values) % 2
    neighbours = np.nextafter(np.array(values)[:5, np.newaxis], [-np.inf, np.inf]).reshape(-1, 1)
    for unknown in ("error", "ignore"):
        for family in ("forest", "logistic"):
            encoder = OneHotEncoder(handle_unknown=unknown, sparse_output=False)
            model = make_pipeline(encoder, CLASSIFIERS[family]()).fit(X, y)
            rows = stack(X[:7], neighbours, [[0.0], [np.nan], [np.inf], [-np.inf]])
            assert_agreement(scorer, model, rows, tolerance_of(family))


NAMES = ["kind", "level", "slope", "volume", "flag"]
COLUMNS = {
    "indices": ([0, 4], [3, 2], [1]),
    "negative indices": ([0, -1], [-2, 2], [1]),
    "names": (["kind", "flag"], ["volume", "slope"], ["level"]),
    "slices": (slice(0, 1), slice(-3, -1), [1]),
    "slices of names": (slice("kind", "kind"), slice("slope", "volume"), ["level"]),
    "masks": ([True, False, False, False, True], [False, False, True, True, False], [False, True, False, False, False]),
    "callables": (
        make_column_selector("kind|flag"),
        make_column_selector("slope|volume"),
        lambda frame: frame.columns[[1]],
    ),
}


@pytest.mark.parametrize(
    ("columns", "remainder"),
    [*((columns, RobustScaler()) for columns in COLUMNS), ("indices", "drop"), ("names", "passthrough")],
    ids=str,
)
def test_how_columns_are_named(scorer, columns, remainder):
    X, y = mixed()
    categories, numbers, rest = COLUMNS[columns]
    transformers = [
        ("none", StandardScaler(), []),
        ("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
        ("scale", Pipeline([("absent", "passthrough"), ("scale", MinMaxScaler())]), numbers),
        ("again", "passthrough", rest),
        ("not", "drop", [0]),
    ]
    transformer = ColumnTransformer(transformers, remainder=remainder, transformer_weights={"scale": 2.5, "again": 3})
    model = make_pipeline(transformer, CLASSIFIERS["hist"]()).fit(pd.DataFrame(X, columns=NAMES), y)

    class OfFrames:
        """The library wants the names that it was fitted with."""

        _estimator_type = "classifier"
        __sklearn_tags__ = model.__sklearn_tags__

        def predict_proba(self, rows):
            return model.predict_proba(pd.DataFrame(rows, columns=NAMES))

    rows = stack(X, sprinkle(X[:150], HOSTILE, 0.3))
    expected = by_library(OfFrames(), rows)
    scorer.connection.execute(export_to_postgres(model, "public.score", NAMES))
    assert np.array_equal(scorer.rows(rows), np.array(expected))


def test_transformers_that_make_frames(scorer):
    X, y = mixed()
    for encoder in (OneHotEncoder(handle_unknown="ignore", sparse_output=False), OrdinalEncoder()):
        check(scorer, "hist", encoder.set_output(transform="pandas"), X[:, [0, 1, 4]], y)


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool", "float32"])
def test_categories_of_other_types(scorer, dtype):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2 if dtype == "bool" else 5, size=(60, 2)) * (0.1 if dtype == "float32" else 1)
    y = np.arange(60) % 2
    rows = stack(X.astype(dtype).astype(float)[:20], X[:20], sprinkle(X[:30], [0.5, -1, 7, np.nan, 258], 0.3))
    for encoder in (
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ):
        model = make_pipeline(encoder, DecisionTreeClassifier(random_state=0)).fit(X.astype(dtype), y)
        assert_agreement(scorer, model, rows)


def test_nested_column_transformers(scorer):
    inner = ColumnTransformer([("encode", OrdinalEncoder(), [1])], remainder=StandardScaler())
    outer = ColumnTransformer([("inner", inner, [4, 0, 2]), ("other", MinMaxScaler(), [0, 3])], remainder="passthrough")
    for family in ("hist", "forest"):
        check(scorer, family, outer)


@pytest.mark.parametrize(
    "scalers",
    [
        [MaxAbsScaler(clip=True)],
        [StandardScaler(with_mean=False)],
        [RobustScaler(with_centering=False)],
        [MaxAbsScaler(), SimpleImputer(), StandardScaler(with_mean=False)],
    ],
    ids=str,
)
@pytest.mark.parametrize("family", ["lightgbm", "forest", "logistic"])
def test_scalers_of_a_sparse_matrix_multiply_by_the_reciprocal(scorer, family, scalers):
    X, y = mixed(missing=0.0)
    encoder = ColumnTransformer(
        [("encode", OneHotEncoder(handle_unknown="ignore"), [0, 4])], remainder="passthrough", sparse_threshold=1.0
    )
    transformer = make_pipeline(encoder, *scalers)
    assert clone(transformer).fit(X).transform(X).format == "csr"
    check(scorer, family, transformer, X, y, [value for value in HOSTILE if value == value])


def test_trees_refuse_missing_values_in_a_sparse_matrix(scorer):
    X, y = mixed(missing=0.0)
    transformer = ColumnTransformer(
        [("encode", OneHotEncoder(handle_unknown="ignore"), [0])], remainder="passthrough", sparse_threshold=1.0
    )
    model = make_pipeline(transformer, CLASSIFIERS["forest"]()).fit(X, y)
    rows = sprinkle(X[:40], NAN, 0.1)
    assert any(outcome is None for outcome in by_library(model, rows))
    assert_agreement(scorer, model, rows)


def test_boosting_of_other_libraries_behind_encoders(scorer):
    X, y = mixed()
    rows = stack(X, sprinkle(X, HOSTILE, 0.3))
    for sparse in (True, False):
        transformer = one_hot(handle_unknown="ignore", sparse_output=sparse)
        model = make_pipeline(transformer, CLASSIFIERS["lightgbm"]()).fit(X, y)
        assert_agreement(scorer, model, rows)
    model = make_pipeline(transformer, XGBClassifier(n_estimators=8, n_jobs=1)).fit(X, y)
    assert_agreement(scorer, model, rows)


@pytest.mark.parametrize("form", ["walk", "case", "tiered"])
def test_forms(scorer, form):
    check(scorer, "hist", one_hot(0), form=form)


def test_inlined_form(scorer):
    check(scorer, "hist", one_hot(0, handle_unknown="ignore"), form="walk", set_based=True)


def test_regressors(scorer):
    X, y = mixed()
    transformer = one_hot(0, handle_unknown="infrequent_if_exist", min_frequency=40)
    rows = stack(X, sprinkle(X, HOSTILE, 0.3))
    model = make_pipeline(transformer, HistGradientBoostingRegressor(max_iter=8)).fit(X, y + np.nan_to_num(X[:, 2]))
    assert_agreement(scorer, model, rows)
    rows = np.where(np.abs(rows) > 1e6, 1e6, rows)
    assert_agreement(scorer, make_pipeline(transformer, Ridge()).fit(X, y), rows, LINEAR_TOLERANCE * 1e3)


def test_many_features(scorer):
    X, y = make_classification(200, 220, n_informative=15, random_state=0)
    X[:, ::20] = np.round(X[:, ::20])
    X = sprinkle(X, NAN, 0.02)
    categories = list(range(0, 220, 20))
    transformer = ColumnTransformer(
        [("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories)],
        remainder=make_pipeline(SimpleImputer(), MaxAbsScaler()),
    )
    for family in ("hist", "logistic"):
        check(scorer, family, transformer, X, y)


def test_one_feature(scorer):
    X, y = mixed()
    for family in ("forest", "logistic"):
        check(scorer, family, OneHotEncoder(sparse_output=False), X[:, :1], y)


def test_identity_and_frozen_steps(scorer):
    X, y = mixed()
    for validate in (False, True):
        frozen = FrozenEstimator(SimpleImputer().fit(X))
        model = make_pipeline(
            frozen, FunctionTransformer(validate=validate), GradientBoostingClassifier(n_estimators=3)
        )
        assert_agreement(
            scorer, FrozenEstimator(model.fit(X, y)), stack(X, sprinkle(X[:40], [np.inf, 1e39, np.nan], 0.1))
        )
    model = make_pipeline(FunctionTransformer(validate=True), CLASSIFIERS["hist"]()).fit(np.nan_to_num(X), y)
    assert_agreement(scorer, model, stack(np.nan_to_num(X), sprinkle(X[:40], [np.inf, np.nan, 5], 0.1)))


FLOATS = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 4.0], [3.0, 9.0]] * 5)
TEXT = np.array([["a", "b"], ["b", "a"], ["c", "b"], ["a", "c"]] * 5, dtype=object)
ONLY_ONE = np.ones((20, 2))
NEGATIVE_WEIGHT = ColumnTransformer([("a", "passthrough", [0])], transformer_weights={"a": -1})


@pytest.mark.parametrize(
    ("transformer", "X", "message"),
    [
        (FunctionTransformer(np.abs), FLOATS, "FunctionTransformer with a function is not supported; compute"),
        (OneHotEncoder(), TEXT, r"OneHotEncoder was fitted on categories of type object, .*; fit it on numeric codes"),
        (OrdinalEncoder(), TEXT, "OrdinalEncoder was fitted on categories of type object"),
        (
            OneHotEncoder(dtype=np.float32),
            FLOATS,
            r"OneHotEncoder with dtype=float32 is not .*; use dtype=numpy\.float64",
        ),
        (OrdinalEncoder(dtype=np.float16), FLOATS, "OrdinalEncoder with dtype=float16 is not supported"),
        (SimpleImputer(missing_values=-1), FLOATS, "SimpleImputer with missing_values=-1 is not supported"),
        (Normalizer(), FLOATS, "Normalizer as a pipeline step is not supported; supported are ColumnTransformer, "),
        (NEGATIVE_WEIGHT, FLOATS, r"ColumnTransformer with a weight of -1\.0 is not supported; use positive"),
    ],
    ids=lambda value: "" if isinstance(value, np.ndarray | str) else repr(value)[:40],
)
def test_what_is_refused(transformer, X, message):
    model = make_pipeline(transformer, DecisionTreeClassifier()).fit(X, np.arange(len(X)) % 2)
    with pytest.raises(UnsupportedModelError, match=message):
        assemble(model)


def test_transformers_that_leave_nothing():
    y = np.arange(20) % 2
    tree = DecisionTreeClassifier().fit(ONLY_ONE, y)
    for transformer, message in [
        (OneHotEncoder(drop="first").fit(ONLY_ONE), "OneHotEncoder drops every column"),
        (ColumnTransformer([("all", "drop", [0, 1])]).fit(ONLY_ONE), "ColumnTransformer drops every column"),
    ]:
        with pytest.raises(UnsupportedModelError, match=message):
            assemble(Pipeline([("transform", transformer), ("tree", tree)]))


def test_scaler_of_a_feature_without_values():
    X = FLOATS.copy()
    X[:, 1] = np.nan
    with np.errstate(all="ignore"):
        scaler = MaxAbsScaler().fit(np.nan_to_num(X))
        scaler.scale_ = np.array([1.0, np.nan])
    model = Pipeline([("scale", scaler), ("tree", DecisionTreeClassifier().fit(FLOATS, np.arange(20) % 2))])
    with pytest.raises(UnsupportedModelError, match="MaxAbsScaler holds a centre or scale that is not finite"):
        assemble(model)


def test_pipeline_that_was_not_fitted_as_a_whole():
    encoder = OneHotEncoder().fit(FLOATS)
    tree = DecisionTreeClassifier().fit(FLOATS, np.arange(20) % 2)
    with pytest.raises(UnsupportedModelError, match="fitted on 2 columns and receives 8; fit the pipeline as a whole"):
        assemble(Pipeline([("encode", encoder), ("tree", tree)]))


def test_xgboost_takes_no_sparse_matrix():
    """It would take the zeros of the encoder for missing values."""
    X, y = mixed()
    dense, sparse = (
        make_pipeline(one_hot(handle_unknown="ignore", sparse_output=flag), XGBClassifier(n_estimators=3, n_jobs=1))
        for flag in (False, True)
    )
    dense.fit(X, y)
    sparse.fit(X, y)
    with pytest.raises(
        UnsupportedModelError, match=r"XGBClassifier behind a transformer with sparse output.*use sparse_output=False"
    ):
        assemble(sparse)
    mixture = Pipeline([*sparse.steps[:1], *dense.steps[1:]])
    assert not np.array_equal(mixture.predict_proba(X), dense.predict_proba(X))


cells = st.one_of(
    st.sampled_from([np.nan, 0.0, -0.0, 1.0, 2.0, 3.0, 0.1, np.nextafter(0.1, 1), 2.675, -1.5]),
    st.floats(-1e3, 1e3, allow_subnormal=False),
)
TRAINING_ROWS = 14


def matrices(rows: int):
    return arrays.arrays(np.float64, (rows, 4), elements=cells)


@st.composite
def transformers(draw):
    """Draw a step that takes missing values; some leave them."""
    numeric = [
        StandardScaler(),
        MinMaxScaler(clip=draw(st.booleans())),
        MinMaxScaler(feature_range=(-2, 0.3)),
        RobustScaler(with_centering=draw(st.booleans())),
        MaxAbsScaler(clip=draw(st.booleans())),
        SimpleImputer(
            strategy=draw(st.sampled_from(["mean", "median", "most_frequent"])), add_indicator=draw(st.booleans())
        ),
        FunctionTransformer(),
    ]
    unknown = draw(st.sampled_from(["error", "ignore", "infrequent_if_exist"]))
    rare = draw(st.sampled_from([None, 2, 0.3]))
    encoders = [
        OneHotEncoder(handle_unknown=unknown, min_frequency=rare, sparse_output=draw(st.booleans())),
        OneHotEncoder(drop=draw(st.sampled_from(["first", "if_binary"])), sparse_output=False),
        OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, max_categories=draw(st.sampled_from([None, 3]))
        ),
    ]
    return draw(
        st.sampled_from([*numeric, *encoders, Pipeline([("a", numeric[5]), ("b", draw(st.sampled_from(numeric)))])])
    )


@st.composite
def column_transformers(draw):
    order = draw(st.permutations(range(4)))
    cut = draw(st.integers(1, 3))
    return ColumnTransformer(
        [("one", draw(transformers()), list(order[:cut])), ("other", draw(transformers()), list(order[cut:]))],
        sparse_threshold=draw(st.sampled_from([0, 0.9])),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", ["hist", "forest", "logistic"])
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_pipeline(scorer, family, data):
    transformer = data.draw(column_transformers())
    if family == "hist":
        transformer.sparse_threshold = 0
    X = data.draw(matrices(TRAINING_ROWS))
    X[0] = 1.0, 2.0, 0.1, 5.0  # no column without a value
    X[1] = 2.0, 1.0, 3.0, -5.0
    y = np.arange(TRAINING_ROWS) % 2
    steps = [transformer] if family == "hist" else [transformer, SimpleImputer()]
    model = make_pipeline(*steps, CLASSIFIERS[family]())
    model.fit(X, y)
    rows = stack(X, data.draw(matrices(8)))
    # What was constant in training is not scaled, and a score of thousands has fewer digits behind the point.
    assert_agreement(scorer, model, rows, 1e-9 if family == "logistic" else 0.0)
