"""Neural networks: equal to the library within 1e-12, and within the error of rounding where values get extreme."""

from collections.abc import Iterator

import numpy as np
import pytest
from agreement import assert_agreement, by_database, by_library, compare, predicted, stack
from hostile_rows import DECIMALS, sprinkle
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from trainer.compiler import (
    UnsupportedModelError,
    assemble,
    compile_model,
    export,
    export_explanation,
    export_path_attribution,
)
from trainer.compiler.assemblers import neural_network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The library's sums of products have no fixed order.
TOLERANCE = 1e-12
NAN = [np.nan]
TINY = [0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e-200, -1e-101]
ACTIVATIONS = ["identity", "logistic", "relu", "tanh"]
ROUNDING = np.finfo(float).eps
LIPSCHITZ = {"logistic": 0.25}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def classifier(*layers: int, **settings) -> MLPClassifier:
    return MLPClassifier(layers, **{"solver": "lbfgs", "max_iter": 25, "random_state": 0, **settings})


def regressor(*layers: int, **settings) -> MLPRegressor:
    settings = {"solver": "lbfgs", "max_iter": 25, "random_state": 0, **settings}
    return MLPRegressor(hidden_layer_sizes=layers, **settings)


def prepared(network):
    return make_pipeline(SimpleImputer(), StandardScaler(), network)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine], ids=["two classes", "three classes"])
def test_classifiers(scorer, load, activation):
    X, y = load(return_X_y=True)
    model = prepared(classifier(12, 5, activation=activation)).fit(sprinkle(X, NAN, 0.1), y)
    rows = stack(X, sprinkle(X[:100], NAN, 0.5), sprinkle(X[:60], DECIMALS, 0.1), sprinkle(X[:60], TINY, 0.5))
    assert_agreement(scorer, model, rows, TOLERANCE)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_regressors(scorer, activation):
    X, y = load_diabetes(return_X_y=True)
    y = y / y.max()
    assert_agreement(scorer, prepared(regressor(10, activation=activation)).fit(X, y), X, TOLERANCE)


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam"},
        {"solver": "adam", "early_stopping": True},
        {"solver": "sgd", "learning_rate_init": 0.1, "momentum": 0.5},
        {"alpha": 10.0},
    ],
    ids=str,
)
def test_ways_to_fit(scorer, settings):
    X, y = load_wine(return_X_y=True)
    assert_agreement(scorer, prepared(classifier(9, **settings)).fit(X, y), X, TOLERANCE)


@pytest.mark.parametrize("layers", [(), (1,), (3, 3, 3, 3), (40,)], ids=str)
def test_layers(scorer, layers):
    X, y = load_wine(return_X_y=True)
    for target in (y, y > 0):
        assert_agreement(scorer, prepared(classifier(*layers)).fit(X, target), X, TOLERANCE)


def test_poisson_loss(scorer):
    X, y = load_diabetes(return_X_y=True)
    model = prepared(regressor(6, loss="poisson")).fit(X, y / y.max())
    assert model[-1].out_activation_ == "exp"
    rows = stack(X, 1e4 * X, -1e4 * X)
    expected = predicted(model, rows)[:, 0]
    assert {0.0, np.inf} <= set(expected)
    assert_agreement(scorer, model, rows[expected < 10], TOLERANCE)
    assert np.isinf(by_database(scorer, model, rows[expected == np.inf])).all()


def test_ten_classes_and_inputs_that_are_always_zero(scorer):
    X, y = load_digits(return_X_y=True)
    model = classifier(20, solver="adam", max_iter=60).fit(X, y)
    assert_agreement(scorer, model, stack(X[:300], sprinkle(X[:100], [0, 8, 16, -3.5], 0.5)), TOLERANCE)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_preparation(scorer, activation):
    """Nothing keeps the products with features next to zero from underflow, which PostgreSQL has as an error."""
    X, y = load_wine(return_X_y=True)
    X = X / X.max(axis=0)
    model = classifier(6, 4, activation=activation).fit(X, y)
    for layer in (*model.coefs_, *model.intercepts_):
        layer[...] *= 0.5
    model.intercepts_[0][:2] = 0
    model.coefs_[0][:, 0] = 1e-150
    rows = stack(X, sprinkle(X, TINY, 0.6), np.full((1, 13), 5e-324), np.zeros((1, 13)), sprinkle(X[:20], NAN, 0.1))
    assert_agreement(scorer, model, rows, TOLERANCE)


@pytest.mark.parametrize("weight", [5e-324, 1e-300, -1e-201])
def test_weights_that_have_died(scorer, weight):
    """They can be left out, unless a value is so large that even they would make something of it."""
    X, y = load_breast_cancer(return_X_y=True)
    model = prepared(classifier(6, 4)).fit(X, y)
    model[-1].coefs_[0][3], model[-1].coefs_[1][2] = weight, weight
    rows = sprinkle(X, TINY, 0.1)
    expected = by_library(model, rows)
    compare("in PostgreSQL", by_database(scorer, model, rows), expected, TOLERANCE)
    beyond = X[:1].copy()
    beyond[0, 3] = 1e200
    assert by_database(scorer, model, beyond) == [None]


@pytest.mark.parametrize("columns", [1, 499, 500, 1100])
def test_one_feature_and_many(scorer, columns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, columns))
    model = classifier(3).fit(X, X[:, 0] > 0)
    assert_agreement(scorer, model, X, TOLERANCE)


def rounding_error(model, rows: np.ndarray) -> np.ndarray:
    """Return a bound of the difference between two evaluations of a network in whatever order, one per row."""
    network = model[-1]
    values = model[:-1].transform(rows)
    error = np.zeros_like(values)
    last = len(network.coefs_) - 1
    for number, (weights, intercepts) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        terms = np.abs(values) @ np.abs(weights) + np.abs(intercepts)
        error = error @ np.abs(weights) + 2 * (len(weights) + 2) * ROUNDING * terms
        values = values @ weights + intercepts
        if number < last:
            error = error * LIPSCHITZ.get(network.activation, 1.0) + 4 * ROUNDING
            activate = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "identity": lambda x: x}
            activate["logistic"] = lambda x: 1 / (1 + np.exp(-x))
            values = activate[network.activation](values)
    return 2 * error.max(axis=1) + 8 * ROUNDING


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine], ids=["two classes", "three classes"])
def test_extreme_rows(scorer, load, activation):
    """Far from the training rows, differences of rounding grow with the values, in the library as well."""
    X, y = load(return_X_y=True)
    model = prepared(classifier(12, 5, activation=activation)).fit(X, y)
    rng = np.random.default_rng(0)
    near = model[:-1][1].mean_ + model[:-1][1].scale_ * rng.normal(size=(200, X.shape[1])) * 3
    factors = 10.0 ** rng.uniform(0, 9, size=(400, 1))
    rows = stack(
        near, np.repeat(near, 2, axis=0) * factors, sprinkle(near, [1e15, -1e15, 1e-300, 5e-324, 0.0], 0.1), X * 1e30
    )
    with np.errstate(all="ignore"):
        bound = rounding_error(model, rows)
    expected = np.array(by_library(model, rows))
    difference = np.abs(np.array(by_database(scorer, model, rows)) - expected).max(axis=1)
    assert (difference[:200] <= TOLERANCE).all()
    assert (difference <= bound).all()
    assert activation in ("logistic", "tanh") or ((expected == 0) | (expected == 1)).any(), "no row is saturated"


def test_values_that_the_library_refuses(scorer):
    X, y = load_wine(return_X_y=True)
    rows = sprinkle(X, [np.nan, np.inf, -np.inf], 0.02)
    for model in (make_pipeline(StandardScaler(), classifier(4)), prepared(classifier(4))):
        assert any(outcome is None for outcome in by_library(model.fit(X, y), rows))
        assert_agreement(scorer, model, rows, TOLERANCE)


def test_fitted_on_float32(scorer):
    """The library computes in float64 for rows of float64, with the float32 weights."""
    X, y = load_wine(return_X_y=True)
    for network, target in ((classifier(8, 4, solver="adam"), y), (regressor(8, solver="adam"), y.astype(np.float32))):
        model = prepared(network).fit(X.astype(np.float32), target)
        assert model[-1].coefs_[0].dtype == np.float32
        expected = by_library(model, X)
        assert expected[0].dtype == np.float64
        assert_agreement(scorer, model, X, TOLERANCE)


def test_behind_an_encoder_with_sparse_output(scorer):
    X, y = load_wine(return_X_y=True)
    X = np.column_stack([X, np.arange(len(X)) % 4])
    encoder = ColumnTransformer(
        [("codes", OneHotEncoder(handle_unknown="ignore"), [13]), ("numbers", StandardScaler(), [0, 1])],
        sparse_threshold=1.0,
    )
    model = make_pipeline(encoder, classifier(5)).fit(X, y)
    assert model[:-1].transform(X).format == "csr"
    assert_agreement(scorer, model, stack(X, sprinkle(X[:50], [7.0, -1.0, 0.5], 0.2)), TOLERANCE)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated(scorer, method):
    X, y = load_wine(return_X_y=True)
    model = CalibratedClassifierCV(prepared(classifier(5, alpha=1.0)), method=method, cv=2).fit(X, y)
    assert_agreement(scorer, model, X, TOLERANCE)


def test_text_labels_and_columns(scorer):
    X, y = load_wine(return_X_y=True)
    model = prepared(classifier(5)).fit(X, np.array(["low", "middle", "top"])[y])
    compiled = compile_model(model, "public.score", set_based=True)
    assert compiled.report.classes == ("low", "middle", "top")
    assert_agreement(scorer, model, X, TOLERANCE, set_based=True)


def test_report():
    X, y = load_wine(return_X_y=True)
    small, large = (
        compile_model(prepared(classifier(*layers)).fit(X, y), "score").report for layers in [(4,), (40, 20)]
    )
    assert small.weights == 13 * 4 + 4 * 3
    assert (small.trees, small.form, small.runtime_helpers) == (0, "walk", ("check_features", "softmax"))
    for name in ("first_call", "one_row", "row_of_many", "memory_bytes"):
        assert 0 < getattr(small.costs["walk"], name) < getattr(large.costs["walk"], name)


def several_labels():
    X, y = load_wine(return_X_y=True)
    return classifier(3).fit(X, np.column_stack([y > 0, y > 1]))


def several_targets():
    X, y = load_wine(return_X_y=True)
    return regressor(3).fit(X, np.column_stack([y, y]).astype(float))


def with_weight(value: float, layers: tuple[int, ...] = (3,)):
    X, y = load_wine(return_X_y=True)
    model = classifier(*layers, max_iter=1).fit(X, y)
    for layer in model.coefs_:
        layer[0, 0] = value
    return model


def with_attribute(name: str, value: str):
    model = with_weight(1.0)
    setattr(model, name, value)
    return model


def of_one_class():
    X, _ = load_wine(return_X_y=True)
    return classifier(3, solver="sgd").fit(X, np.zeros(len(X)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (several_labels, "MLPClassifier was fitted on several labels per row; fit one model for each"),
        (several_targets, "MLPRegressor was fitted on several targets; fit one each"),
        (of_one_class, "MLPClassifier was fitted on a single class; fit it on at least two"),
        (lambda: with_weight(np.nan), "the fit has diverged; scale the features and fit again"),
        (lambda: with_weight(-np.inf), "the fit has diverged"),
        (lambda: with_weight(1e200, (3, 3)), "weights so large that rounding decides on its output"),
        (lambda: with_weight(1e25, (3, 3)), "weights so large that rounding decides on its output"),
        (lambda: with_attribute("activation", "swish"), "activation='swish' is not supported; use one of identity"),
        (lambda: with_attribute("out_activation_", "relu"), "'relu' as the activation of its output"),
        (lambda: MLPClassifier(), "MLPClassifier is not fitted"),
    ],
)
def test_what_is_refused(model, message):
    with pytest.raises(UnsupportedModelError, match=message):
        assemble(model())


def test_networks_that_are_too_large(monkeypatch):
    model = with_weight(0.5, (5,))
    monkeypatch.setattr(neural_network, "MAXIMUM_UNITS", 4)
    with pytest.raises(UnsupportedModelError, match="5 units in one layer and the compiler stops at 4"):
        assemble(model)
    monkeypatch.undo()
    monkeypatch.setattr(export, "MAXIMUM_WEIGHTS", 79)
    with pytest.raises(UnsupportedModelError, match="80 weights of neural networks and the compiler stops at 79"):
        compile_model(model, "score")


@pytest.mark.parametrize("explain", [export_explanation, export_path_attribution])
def test_explanations_are_refused(explain):
    with pytest.raises(
        UnsupportedModelError, match=r"A neural network \(MLPClassifier, MLPRegressor\) cannot be explained"
    ):
        explain(with_weight(0.5), "score_explain")
