"""CalibratedClassifierCV: as equal to the library as the base is, whichever response its calibrators take."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from agreement import assert_agreement, by_library, fill, raw_thresholds, stack
from hostile_rows import DECIMALS, near, sprinkle
from lightgbm import LGBMClassifier
from scipy.interpolate import interp1d
from sklearn import linear_model
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from trainer.compiler import UnsupportedModelError, assemble

NAN = [np.nan]
# The library's sums of products have no fixed order, and a steep calibrator stretches the difference.
LINEAR_TOLERANCE = 1e-12
# numpy's exp and log differ from the C library's in the last bit where the processor has AVX-512.
TEMPERATURE_TOLERANCE = 1e-14
METHODS = ["sigmoid", "isotonic", "temperature"]

TREES = {
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "forest": RandomForestClassifier(n_estimators=4, max_depth=6, random_state=0),
    "extra trees": ExtraTreesClassifier(n_estimators=3, max_depth=6, random_state=0),
    "gradient": GradientBoostingClassifier(n_estimators=4, random_state=0),
    "exponential": GradientBoostingClassifier(n_estimators=4, loss="exponential", random_state=0),
    "hist": HistGradientBoostingClassifier(max_iter=4, random_state=0),
    "lightgbm": LGBMClassifier(n_estimators=4, n_jobs=1, verbose=-1),
    "xgboost": XGBClassifier(n_estimators=4, n_jobs=1),
}
LINEAR = {
    "logistic": LogisticRegression(),
    "linear svc": LinearSVC(random_state=0),
    "ridge": RidgeClassifier(),
    "ridge cv": RidgeClassifierCV(),
    "perceptron": Perceptron(random_state=0),
    "hinge": SGDClassifier(random_state=0),
    "log loss": SGDClassifier(loss="log_loss", random_state=0),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small models are slower with threads, and far slower where other programs want the processors."""
    with threadpool_limits(1):
        yield


def data(classes: int, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True) if classes == 2 else load_wine(return_X_y=True)
    X, y = (X[:250], y[:250]) if classes == 2 else (X, y)
    return sprinkle(X, NAN, missing), y


def check_trees(scorer, model, X, tolerance: float, **export) -> None:
    rows = [X[::2], sprinkle(X[:30], DECIMALS, 0.5), near(raw_thresholds(model), X, 20)]
    assert_agreement(scorer, model, stack(*rows), tolerance, **export)


def check_calibrated(scorer, base: str, method: str, classes: int, ensemble: bool) -> None:
    X, y = data(classes)
    model = CalibratedClassifierCV(clone(TREES[base]), method=method, ensemble=ensemble, cv=3).fit(X, y)
    check_trees(scorer, model, X, TEMPERATURE_TOLERANCE if method == "temperature" else 0.0)


PAIRS = [pair for pair in itertools.product(TREES, METHODS) if pair != ("xgboost", "temperature")]


@pytest.mark.parametrize(("base", "method"), PAIRS)
def test_trees_and_two_classes(scorer, base, method):
    check_calibrated(scorer, base, method, 2, ensemble=True)


@pytest.mark.parametrize(
    ("base", "method"), [pair for pair in PAIRS if pair[0] in ("tree", "gradient", "lightgbm", "xgboost")]
)
def test_trees_and_three_classes(scorer, base, method):
    check_calibrated(scorer, base, method, 3, ensemble=False)


@pytest.mark.parametrize("method", METHODS)
def test_lightgbm_before_it_had_a_decision_function(scorer, monkeypatch, method):
    monkeypatch.delattr(LGBMClassifier, "decision_function", raising=False)
    for classes in (2, 3):
        X, y = data(classes)
        model = CalibratedClassifierCV(clone(TREES["lightgbm"]), method=method, cv=2).fit(X, y)
        check_trees(scorer, model, X, TEMPERATURE_TOLERANCE if method == "temperature" else 0.0)


@pytest.mark.parametrize("base", LINEAR)
def test_linear_models(scorer, base):
    for classes, method in ((2, "sigmoid"), (3, "sigmoid"), (3, "isotonic"), (2, "temperature")):
        X, y = data(classes, missing=0.05)
        pipeline = make_pipeline(SimpleImputer(), StandardScaler(), clone(LINEAR[base]))
        model = CalibratedClassifierCV(pipeline, method=method, cv=2).fit(X, y)
        assert_agreement(scorer, model, stack(X, sprinkle(X[:40], DECIMALS, 0.1)), LINEAR_TOLERANCE)


@pytest.mark.filterwarnings("ignore:Class PassiveAggressive:FutureWarning")
def test_passive_aggressive_models(scorer):
    """The library gives them up with 1.10."""
    X, y = data(3)
    classes = [vars(linear_model).get(f"PassiveAggressive{kind}") for kind in ("Classifier", "Regressor")]
    for model in [make_pipeline(StandardScaler(), made(random_state=0)) for made in classes if made is not None]:
        if is_classifier(model):
            with pytest.raises(UnsupportedModelError, match="no predict_proba; fit it inside CalibratedClassifierCV"):
                assemble(model.fit(X, y))
            model = CalibratedClassifierCV(model, cv=2)
        assert_agreement(scorer, model.fit(X, y), X, LINEAR_TOLERANCE)


def test_default_base(scorer):
    X, y = load_iris(return_X_y=True)
    assert_agreement(scorer, CalibratedClassifierCV().fit(X, y), X, LINEAR_TOLERANCE)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_ten_classes(scorer, method):
    """numpy adds up eight and more values in another order than fewer."""
    X, y = load_digits(return_X_y=True)
    model = CalibratedClassifierCV(TREES["forest"], method=method, cv=2).fit(X[:600], y[:600])
    assert_agreement(scorer, model, stack(X[:150], sprinkle(X[:100], [0, 8, 16, -1e9], 0.5)))


def test_many_classes(scorer):
    """Nor does it add up more than 128 values as it does fewer."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(150), 8)
    X = np.column_stack([y + rng.normal(size=len(y)), y % 7 + rng.normal(size=len(y))])
    model = CalibratedClassifierCV(TREES["tree"], method="isotonic", ensemble=False, cv=2).fit(X, y)
    assert_agreement(scorer, model, X[::24])


def test_missing_values_and_transformers(scorer):
    X, y = data(2, missing=0.1)
    X = np.column_stack([X, np.arange(len(X)) % 4])
    encoder = ColumnTransformer(
        [("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [30])], remainder=MinMaxScaler()
    )
    rows = stack(X[:100], sprinkle(X[:100], NAN, 0.4), sprinkle(X[:60], [7.0, -1.0, 0.5], 0.2))
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(TREES["hist"], method=method, cv=3)
        assert_agreement(scorer, make_pipeline(encoder, calibrated).fit(X, y), rows)
        inside = CalibratedClassifierCV(make_pipeline(encoder, TREES["hist"]), method=method, cv=3).fit(X, y)
        assert_agreement(scorer, inside, rows)


def test_frozen_base(scorer):
    X, y = data(2)
    for base in (TREES["gradient"], make_pipeline(StandardScaler(), TREES["forest"]), TREES["xgboost"]):
        frozen = FrozenEstimator(clone(base).fit(X[:120], y[:120]))
        for method in ("sigmoid", "isotonic"):
            model = CalibratedClassifierCV(frozen, method=method).fit(X[120:], y[120:])
            assert len(model.calibrated_classifiers_) == 1
            check_trees(scorer, FrozenEstimator(model), X, 0.0)


def test_calibration_of_a_calibrated_model(scorer):
    X, y = data(3)
    for method in ("sigmoid", "isotonic"):
        inner = CalibratedClassifierCV(TREES["tree"], method=method, cv=2)
        model = CalibratedClassifierCV(inner, method=method, cv=2).fit(X, y)
        check_trees(scorer, model, X, 0.0)


@pytest.mark.parametrize("form", ["walk", "case", "tiered"])
@pytest.mark.parametrize("base", ["forest", "hist", "xgboost"])
def test_forms(scorer, base, form):
    X, y = data(3)
    model = CalibratedClassifierCV(clone(TREES[base]), method="isotonic", cv=2).fit(X, y)
    check_trees(scorer, model, X, 0.0, form=form)


@pytest.mark.parametrize(("method", "classes"), [("sigmoid", 2), ("isotonic", 3), ("temperature", 2)])
def test_inlined_form(scorer, method, classes):
    X, y = data(classes)
    model = CalibratedClassifierCV(clone(TREES["hist"]), method=method, cv=2).fit(X, y)
    check_trees(scorer, model, X, TEMPERATURE_TOLERANCE, set_based=True)


def test_text_labels(scorer):
    X, y = data(2)
    labels = np.array(["benign", "malignant"])[y]
    for method in METHODS:
        model = CalibratedClassifierCV(clone(TREES["hist"]), method=method, cv=2).fit(X, labels)
        check_trees(scorer, model, X, TEMPERATURE_TOLERANCE if method == "temperature" else 0.0)


def test_base_that_says_the_same_for_all(scorer):
    """Its isotonic calibrator has a single point."""
    X, y = data(2)
    stump = XGBClassifier(n_estimators=1, max_depth=1, gamma=1e9, n_jobs=1)
    for base in (DecisionTreeClassifier(min_samples_leaf=1000), stump):
        model = CalibratedClassifierCV(base, method="isotonic", cv=2).fit(X, y)
        assert len(model.calibrated_classifiers_[0].calibrators[0].X_thresholds_) == 1
        assert_agreement(scorer, model, X[:20])


def test_no_class_has_a_probability(scorer):
    """Where every calibrator says zero, the library takes all classes for equally probable."""
    X, y = load_iris(return_X_y=True)
    model = CalibratedClassifierCV(TREES["gradient"], method="isotonic", ensemble=False, cv=3).fit(X, y)
    for calibrator in model.calibrated_classifiers_[0].calibrators:
        calibrator.y_thresholds_ = np.where(calibrator.y_thresholds_ < 1, 0.0, calibrator.y_thresholds_)
        calibrator.f_ = interp1d(calibrator.X_thresholds_, calibrator.y_thresholds_)
    rows = np.random.default_rng(0).uniform(X.min(), X.max(), size=(300, 4))
    assert any((outcome == 1 / 3).all() for outcome in by_library(model, rows))
    assert_agreement(scorer, model, rows)


def test_line_that_ends_above_one(scorer):
    """The library then takes 1, but not before it has taken the complement."""
    X, y = data(2)
    model = CalibratedClassifierCV(TREES["gradient"], method="isotonic", ensemble=False, cv=3).fit(X, y)
    calibrator = model.calibrated_classifiers_[0].calibrators[0]
    calibrator.y_thresholds_ = calibrator.y_thresholds_ * (1.000002 / calibrator.y_thresholds_[-1])
    calibrator.f_ = interp1d(calibrator.X_thresholds_, calibrator.y_thresholds_)
    expected = np.array(by_library(model, X))
    assert (expected[:, 1] == 1).any()
    assert (expected[:, 0] < 0).any()
    assert_agreement(scorer, model, X)


ONE_VERSUS_ALL = LGBMClassifier(n_estimators=2, objective="multiclassova", verbose=-1, n_jobs=1)


@pytest.mark.parametrize(
    ("base", "settings", "message"),
    [
        (TREES["xgboost"], {"method": "temperature"}, r"of an XGBoost model, .* use method='sigmoid' or 'isotonic'\."),
        (
            ONE_VERSUS_ALL,
            {"method": "temperature"},
            r"objective='multiclassova', whose probabilities do not sum to one",
        ),
        (
            TREES["tree"],
            {"cv": PredefinedSplit(np.repeat([0, 1, 2], 50))},
            r"a fold whose training rows lack a class; fit it with cv=StratifiedKFold\(\)\.",
        ),
    ],
    ids=["float32", "one versus all", "fold without a class"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_refused(base, settings, message, monkeypatch):
    monkeypatch.delattr(LGBMClassifier, "decision_function", raising=False)
    X, y = load_iris(return_X_y=True)
    model = CalibratedClassifierCV(clone(base), **{"cv": 2, **settings}).fit(X, y)
    with pytest.raises(UnsupportedModelError, match=message):
        assemble(model)


@pytest.mark.parametrize(("attribute", "value"), [("a_", np.inf), ("b_", np.nan)])
def test_sigmoid_that_is_not_finite(attribute, value):
    X, y = data(2)
    model = CalibratedClassifierCV(TREES["tree"], cv=2).fit(X, y)
    setattr(model.calibrated_classifiers_[1].calibrators[0], attribute, value)
    with pytest.raises(UnsupportedModelError, match="a sigmoid whose numbers are not finite; use method='isotonic'"):
        assemble(model)


def test_isotonic_line_that_is_vertical():
    X, y = data(2)
    model = CalibratedClassifierCV(TREES["tree"], method="isotonic", cv=2).fit(X, y)
    calibrator = model.calibrated_classifiers_[0].calibrators[0]
    calibrator.X_thresholds_ = np.array([0.0, 1e-310, 1.0])
    calibrator.y_thresholds_ = np.array([0.0, 0.5, 1.0])
    with pytest.raises(UnsupportedModelError, match="with an infinite slope; use method='sigmoid'"):
        assemble(model)


# The runtime's functions, where a model hardly leads

TINY = 5e-324


def test_product(scorer):
    rng = np.random.default_rng(0)
    exponents = rng.integers(-1074, 1024, size=(2, 4000))
    left, right = np.ldexp(rng.uniform(1, 2, size=(2, 4000)) * rng.choice([-1, 1], size=(2, 4000)), exponents)
    hostile = [0.0, -0.0, TINY, -TINY, 0.5, -0.49999999999999994, 1.0, 2e-308, 1.5e-154, 1e-150, 3e-170]
    pairs = np.array([*zip(left, right, strict=True), *((a, b) for a in hostile for b in hostile)])
    with np.errstate(all="ignore"):
        expected = pairs[:, 0] * pairs[:, 1]
    pairs, expected = pairs[np.isfinite(expected)], expected[np.isfinite(expected)]
    got = called(scorer, "product", pairs)
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("single", [False, True])
def test_interpolate(scorer, single):
    number = np.float32 if single else np.float64
    rng = np.random.default_rng(0)
    points = np.unique(np.concatenate([rng.normal(size=30), [0.0, 1e-30, -1e-30]]).astype(number))
    heights = np.sort(rng.random(len(points))).astype(number)
    heights[:4] = 0.0
    rows = np.concatenate(
        [points, np.nextafter(points, number(9)), np.nextafter(points, number(-9)), rng.normal(size=800)]
    ).astype(number)
    expected = interp1d(points, heights)(np.clip(rows, points[0], points[-1])).astype(number)
    with np.errstate(over="ignore"):
        slopes = np.diff(heights) / np.diff(points)
    arguments = [array.astype(float).tolist() for array in (points, heights, slopes)]
    function = "interpolate_single" if single else "interpolate"
    got = called(scorer, function, rows.astype(float)[:, np.newaxis], *arguments)
    assert np.array_equal(got.astype(number), expected)


def test_normalized(scorer):
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 7, 8, 9, 15, 16, 100, 128, 129, 300):
        values = rng.random((6, size)) * 10.0 ** rng.integers(-12, 3, size=(6, size))
        values[0] = 0
        values[1, :1] = TINY
        values[2] *= 1e-305
        sums = values.sum(axis=1, keepdims=True)
        expected = np.where(sums == 0, 1 / size, values / np.where(sums == 0, 1, sums))
        got = [scorer.connection.execute("SELECT ml.normalized(%s)", [row.tolist()]).fetchone()[0] for row in values]
        assert np.array_equal(np.array(got), expected)


def test_mean_of_rows(scorer):
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 6, 7):
        rows = rng.random((count, 8))
        rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = 0, -1e-17, 0, 0
        rows[0, 2] = TINY
        rows[0, 3] = 3 * TINY
        expected = np.zeros(8)
        for row in rows:
            expected += row
        got = scorer.connection.execute("SELECT ml.mean_of_rows(%s)", [rows.tolist()]).fetchone()[0]
        assert np.array_equal(np.array(got), expected / count)


def called(scorer, function: str, rows: np.ndarray, *arguments: list[float]) -> np.ndarray:
    fill(scorer, rows.tolist())
    values = ", ".join(f"features[{place}]" for place in range(1, rows.shape[1] + 1))
    constants = "".join(", %s::float8[]" for _ in arguments)
    query = f"SELECT ml.{function}({values}{constants}) FROM row_to_score ORDER BY id"
    return np.array(scorer.connection.execute(query, arguments).fetchall(), dtype=float)[:, 0]
