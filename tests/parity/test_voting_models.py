"""Voting ensembles: as equal to the library as their members are, with numpy's own order of the average."""

from collections.abc import Iterator

import numpy as np
import pytest
from agreement import assert_agreement, by_database, by_library, raw_thresholds, stack
from hostile_rows import DECIMALS, near, sprinkle
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier, XGBRegressor

from trainer.compiler import (
    UnsupportedModelError,
    assemble,
    compile_model,
    explanation_cost,
    export_explanation,
    export_path_attribution,
    nodes,
)
from trainer.compiler.assemblers import voting
from trainer.compiler.forms.inline import LinkInterpreter

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NAN = [np.nan]
# The library's sums of products have no fixed order.
LINEAR_TOLERANCE = 1e-12
# Where the processor has AVX-512, numpy's exp, which the softmax of several classes takes, differs in the last bit.
SOFTMAX_TOLERANCE = 1e-14

FOREST = RandomForestClassifier(n_estimators=4, max_depth=5, random_state=0)
TREE = DecisionTreeClassifier(max_depth=4, random_state=0)
EXTRA = ExtraTreesClassifier(n_estimators=3, max_depth=5, random_state=0)
GRADIENT = GradientBoostingClassifier(n_estimators=4, random_state=0)
HIST = HistGradientBoostingClassifier(max_iter=4, random_state=0)
LIGHTGBM = LGBMClassifier(n_estimators=4, n_jobs=1, verbose=-1)
XGBOOST = XGBClassifier(n_estimators=4, n_jobs=1)
LOGISTIC = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
NETWORK = make_pipeline(SimpleImputer(), StandardScaler(), MLPClassifier((6, 4), max_iter=20, random_state=0))
SIGMOID = CalibratedClassifierCV(clone(GRADIENT), cv=2)
ISOTONIC = CalibratedClassifierCV(clone(HIST), method="isotonic", cv=3)

WEIGHTS = [None, [2, 1, 1], [0.2, 0.5, 0.3], [1e-7, 3, 0.0], np.array([1, 2, 3], dtype=np.int8)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def vote(*members, **settings) -> VotingClassifier:
    return VotingClassifier([(f"m{place}", member) for place, member in enumerate(members)], voting="soft", **settings)


def mean(*members, **settings) -> VotingRegressor:
    return VotingRegressor([(f"m{place}", member) for place, member in enumerate(members)], **settings)


def data(classes: int, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True) if classes == 2 else load_wine(return_X_y=True)
    X, y = (X[:250], y[:250]) if classes == 2 else (X, y)
    return sprinkle(X, NAN, missing), y


def check(scorer, model, X: np.ndarray, tolerance: float = 0.0, **export) -> None:
    rows = stack(X[::2], sprinkle(X[:30], DECIMALS, 0.5), near(raw_thresholds(model), X, 20))
    assert_agreement(scorer, model, rows, tolerance, **export)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("classes", [2, 3])
def test_weights(scorer, classes, weights):
    X, y = data(classes)
    model = vote(FOREST, TREE, LIGHTGBM, weights=weights).fit(X, y)
    check(scorer, model, X, 0.0 if classes == 2 else SOFTMAX_TOLERANCE)


@pytest.mark.parametrize("weights", [None, [1, -3, 5], [0.5, 0.25, 1.0]], ids=str)
def test_float32_members(scorer, weights):
    """As long as no member is in double precision, nor a weight, the library averages in single precision."""
    members = [clone(XGBOOST).set_params(max_depth=depth) for depth in (1, 2, 3)]
    for classes in (2, 3):
        X, y = data(classes, missing=0.1)
        model = vote(*members, weights=weights).fit(X, y)
        assert model.predict_proba(X).dtype == (np.float32 if weights is None else np.float64)
        check(scorer, model, X)
    check(scorer, vote(*members[:2], FOREST, weights=weights).fit(X, y), X)


@pytest.mark.parametrize(
    ("members", "tolerance"),
    [
        ((HIST, XGBOOST, LIGHTGBM), 0.0),
        ((LOGISTIC, HIST), LINEAR_TOLERANCE),
        ((LOGISTIC, NETWORK, FOREST), LINEAR_TOLERANCE),
        ((SIGMOID, ISOTONIC), 0.0),
        ((CalibratedClassifierCV(LOGISTIC, cv=2), XGBOOST), LINEAR_TOLERANCE),
        ((vote(FOREST, HIST, weights=[1, 2]), vote(XGBOOST, XGBOOST)), 0.0),
        ((HIST,), 0.0),
    ],
    ids=["boosting", "linear", "network", "calibrated", "calibrated linear", "voting", "one member"],
)
def test_members(scorer, members, tolerance):
    for classes, weights in ((2, None), (3, list(range(1, len(members) + 1)))):
        X, y = data(classes, missing=0.05 if members[0] in (HIST, LOGISTIC) else 0.0)
        model = vote(*members, weights=weights).fit(X, y)
        check(scorer, model, X, tolerance if classes == 2 else max(tolerance, SOFTMAX_TOLERANCE))


def test_members_that_were_dropped(scorer):
    X, y = data(2)
    members = [("a", FOREST), ("b", "drop"), ("c", HIST), ("d", "drop")]
    model = VotingClassifier(members, voting="soft", weights=[2, 5, 1, 7]).fit(X, y)
    assert len(model.estimators_) == 2
    check(scorer, model, X)


def test_text_labels_and_flattened_transform(scorer):
    """The members see codes of the classes, in the order of the ensemble's classes."""
    X, y = data(3)
    model = vote(FOREST, XGBOOST, flatten_transform=False).fit(X, np.array(["low", "middle", "top"])[y])
    compiled = compile_model(model, "public.score")
    assert compiled.report.classes == ("low", "middle", "top")
    assert compiled.report.algorithm == "VotingClassifier"
    check(scorer, model, X, SOFTMAX_TOLERANCE)


def test_frozen_members(scorer):
    X, y = data(2)
    labels = np.array(["benign", "malignant"])[y]
    frozen = [FrozenEstimator(clone(member).fit(X[:120], labels[:120])) for member in (FOREST, HIST)]
    check(scorer, vote(*frozen, EXTRA).fit(X[120:], labels[120:]), X)


def test_ten_members_and_single_rows(scorer):
    X, y = data(3)
    members = [clone(TREE).set_params(max_depth=2, max_features=2, random_state=seed) for seed in range(10)]
    for weights in (None, list(np.linspace(0.1, 0.9, 10))):
        model = vote(*members, weights=weights).fit(X, y)
        check(scorer, model, X)
        single = [model.predict_proba(row[np.newaxis])[0] for row in X[:40]]
        assert np.array_equal(by_database(scorer, model, X[:40]), single)


def test_inside_other_models(scorer):
    X, y = data(2, missing=0.1)
    X = np.column_stack([X, np.arange(len(X)) % 4])
    encoder = ColumnTransformer(
        [("codes", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [30])], remainder="passthrough"
    )
    rows = stack(X[:80], sprinkle(X[:60], NAN, 0.4), sprinkle(X[:40], [7.0, -1.0, 0.5], 0.2))
    assert_agreement(scorer, make_pipeline(encoder, vote(HIST, XGBOOST, weights=[3, 1])).fit(X, y), rows)
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(vote(HIST, LIGHTGBM), method=method, cv=2)
        assert_agreement(scorer, calibrated.fit(X, y), rows)
    calibrated = CalibratedClassifierCV(vote(HIST, LIGHTGBM), method="temperature", cv=2).fit(X, y)
    assert_agreement(scorer, calibrated, rows, SOFTMAX_TOLERANCE)


def test_a_row_is_refused_where_one_member_refuses_it(scorer):
    X, y = data(2)
    model = vote(HIST, GRADIENT, FOREST).fit(X, y)
    rows = sprinkle(X[:60], [np.nan, np.inf, 1e39], 0.01)
    assert any(outcome is None for outcome in by_library(model, rows))
    assert_agreement(scorer, model, rows)


@pytest.mark.parametrize("form", ["walk", "case", "tiered"])
def test_forms(scorer, form):
    X, y = data(3)
    check(scorer, vote(FOREST, XGBOOST, TREE, weights=[3, 1, 2]).fit(X, y), X, form=form)
    check(scorer, vote(FOREST, NETWORK).fit(X, y), X, LINEAR_TOLERANCE, form=form)


def test_function_of_columns(scorer):
    X, y = data(2)
    model = vote(FOREST, HIST, XGBOOST, weights=[3, 1, 2]).fit(X, y)
    assert compile_model(model, "public.score", set_based=True).report.notes == ()
    check(scorer, model, X, set_based=True)
    model = vote(FOREST, LOGISTIC).fit(X, y)
    (note,) = compile_model(model, "public.score", set_based=True).report.notes
    assert "has members that are none" in note
    check(scorer, model, X, LINEAR_TOLERANCE, set_based=True)


def test_costs():
    X, y = data(2)
    alone = [compile_model(clone(member).fit(X, y), "score", form="walk").report for member in (FOREST, HIST, NETWORK)]
    report = compile_model(vote(FOREST, HIST, NETWORK).fit(X, y), "score", form="walk").report
    assert report.trees == sum(member.trees for member in alone)
    assert report.weights == alone[2].weights
    together = sum(member.costs["walk"].one_row for member in alone)
    assert together - 10 < report.costs["walk"].one_row < together


REGRESSORS = {
    "forest": RandomForestRegressor(n_estimators=4, max_depth=5, random_state=0),
    "gradient": GradientBoostingRegressor(n_estimators=4, random_state=0),
    "hist": HistGradientBoostingRegressor(max_iter=4, random_state=0),
    "lightgbm": LGBMRegressor(n_estimators=4, n_jobs=1, verbose=-1),
    "xgboost": XGBRegressor(n_estimators=4, n_jobs=1),
}


@pytest.mark.parametrize("weights", [None, [2, 1, 1, 3, 1], [0.2, 0.5, 0.3, -0.2, 1e-3]], ids=str)
def test_regressors(scorer, weights):
    X, y = load_diabetes(return_X_y=True)
    model = mean(*REGRESSORS.values(), weights=weights).fit(X, y)
    check(scorer, model, X)
    check(scorer, mean(model, REGRESSORS["hist"]).fit(X, y), X, form="case", set_based=True)


def test_linear_and_single_precision_regressors(scorer):
    X, y = load_diabetes(return_X_y=True)
    y = y / y.max()
    assert_agreement(scorer, mean(LinearRegression(), REGRESSORS["forest"]).fit(X, y), X[:100], LINEAR_TOLERANCE)
    members = [clone(REGRESSORS["xgboost"]).set_params(max_depth=depth) for depth in (1, 2, 3)]
    model = mean(*members).fit(X, y)
    assert model.predict(X).dtype == np.float32
    check(scorer, mean(model, model).fit(X, y), X)
    check(scorer, mean(*members, weights=[1, 2, 3]).fit(X, y), X)


def test_nine_regressors(scorer):
    """For a single row the library would add them up in another order than for several."""
    X, y = load_diabetes(return_X_y=True)
    members = [DecisionTreeRegressor(max_depth=3, max_features=2, random_state=seed) for seed in range(9)]
    for weights in (None, np.linspace(0.1, 0.9, 9).tolist()):
        check(scorer, mean(*members, weights=weights).fit(X, y), X)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 4.0], [0.1, 0.7, 1e-20], [1e-90, 1e90, -3.0]], ids=str)
@pytest.mark.parametrize("single", [False, True])
def test_average(scorer, weights, single):
    """Numbers so small that products and quotients vanish, which PostgreSQL has as an error."""
    if single and weights is not None:
        weights = np.array(weights)
    number = np.float32 if single else np.float64
    rng = np.random.default_rng(0)
    tiny = np.finfo(number).smallest_subnormal
    values = rng.random((3, 400, 5)).astype(number)
    values[:, 100:] *= (number(10) ** rng.integers(-46 if single else -323, 0, size=(3, 300, 5))).astype(number)
    values[:, 200:300] = rng.choice(np.array([0, tiny, -tiny, 2 * tiny, 3 * tiny], dtype=number), size=(3, 100, 5))
    with np.errstate(under="ignore"):
        expected = np.average(values, axis=0, weights=weights)
    total = 3.0 if weights is None else float(np.asarray(weights).sum())
    scores = [nodes.GivenScores(5 * place, 5) for place in range(3)]
    average = nodes.AverageVector(scores, weights, total, single=single and weights is None)
    interpreter = LinkInterpreter()
    scorer.connection.execute(
        "CREATE FUNCTION average(p_scores float8[]) RETURNS float8[] LANGUAGE plpgsql AS $function$"
        f"{interpreter.link(average)}$function$"
    )
    rows = values.transpose(1, 0, 2).reshape(400, 15).astype(float)
    found = scorer.connection.execute(
        "SELECT average(ARRAY[" + ", ".join(f"r[{place}]" for place in range(1, 16)) + "]::float8[])"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS t(text, n), LATERAL (SELECT text::float8[]) AS u(r) ORDER BY n",
        [["{" + ",".join(map(repr, row)) + "}" for row in rows.tolist()]],
    ).fetchall()
    assert np.array_equal(np.array([row[0] for row in found]), expected.astype(float))


# Explanations


def contributions(scorer, export, model, rows: np.ndarray) -> np.ndarray:
    execute = scorer.connection.execute
    execute(export(model, "public.explain"))
    return np.array([execute("SELECT explain(%s::float8[])", [row]).fetchone()[0] for row in rows.tolist()])


@pytest.mark.parametrize("export", [export_explanation, export_path_attribution])
def test_explanation_of_forests(scorer, export):
    """Contributions to the probability are averaged as the probability is."""
    for classes in (2, 3):
        X, y = data(classes)
        model = vote(FOREST, EXTRA, vote(TREE, FOREST, weights=[3, 1]), weights=[2, 1, 5]).fit(X, y)
        rows = X[::40]
        found = contributions(scorer, export, model, rows)
        inner = model.estimators_[2].estimators_
        parts = [*model.estimators_[:2], *inner]
        shares = np.array([2, 1, 5 * 0.75, 5 * 0.25]) / 8
        expected = sum(
            share * contributions(scorer, export, part, rows) for share, part in zip(shares, parts, strict=True)
        )
        assert np.abs(found - expected).max() < 1e-12
        sums = found.reshape(len(rows), classes, -1).sum(axis=2)
        assert np.abs(sums - model.predict_proba(rows)).max() < 1e-12
        assert explanation_cost(model) > max(explanation_cost(part) for part in parts)


@pytest.mark.parametrize("export", [export_explanation, export_path_attribution])
def test_explanation_of_regressors(scorer, export):
    X, y = load_diabetes(return_X_y=True)
    model = mean(*REGRESSORS.values(), weights=[1, 2, 3, 4, 5]).fit(X, y)
    rows = X[::40]
    found = contributions(scorer, export, model, rows)
    parts = zip(np.arange(1, 6) / 15, model.estimators_, strict=True)
    expected = sum(share * contributions(scorer, export, part, rows) for share, part in parts)
    assert np.abs(found - expected).max() < 1e-10
    assert np.abs(found.sum(axis=1) - model.predict(rows)).max() < 1e-4


@pytest.mark.parametrize(
    "model",
    [
        vote(FOREST, HIST),
        vote(LOGISTIC, LOGISTIC),
        vote(CalibratedClassifierCV(FOREST, cv=2), FOREST),
        CalibratedClassifierCV(vote(FOREST, TREE), cv=2),
    ],
    ids=["boosting", "linear", "calibrated", "inside calibration"],
)
def test_explanations_that_are_refused(model):
    """Contributions to a margin say nothing of what a mean of probabilities is made of."""
    X, y = data(2)
    model = clone(model).fit(X, y)
    for export in (export_explanation, export_path_attribution):
        with pytest.raises(UnsupportedModelError, match="A voting ensemble can be explained where the raw output"):
            export(model, "explain")


# What is refused


def fitted(model, **settings):
    X, y = data(3)
    return clone(model).fit(X, y).set_params(**settings)


def frozen_on_two_classes():
    X, y = data(3)
    return vote(FOREST, FrozenEstimator(clone(TREE).fit(X, y > 0))).fit(X, y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: fitted(vote(TREE, FOREST), voting="hard"), "VotingClassifier with voting='hard' has no predict_proba"),
        (lambda: fitted(vote(TREE, FOREST), weights=[1, -1]), "weights that sum to zero"),
        (lambda: fitted(vote(TREE, FOREST), weights=[1, np.nan]), "a weight that is not finite or whose absolute"),
        (lambda: fitted(vote(TREE, FOREST), weights=[1, 1e-150]), "lies outside 1e-100 to 1e\\+100"),
        (lambda: fitted(vote(TREE, FOREST), weights=[1, 2], m0="drop"), "2 fitted members and weights for 1"),
        (lambda: fitted(vote(TREE, FOREST), weights=np.array([1, 2], dtype=np.longdouble)), "weights of type"),
        (lambda: fitted(vote(TREE, FOREST), weights=["a", "b"]), "weights of type <U1 is not supported"),
        (
            lambda: fitted(vote(XGBOOST, XGBOOST), weights=np.array([1, 2], dtype=np.float32)),
            "weights of type float32 over XGBoost models only",
        ),
        (frozen_on_two_classes, "a member, FrozenEstimator, with 2 classes where the ensemble has 3"),
        (lambda: fitted(VotingClassifier([("a", LinearSVC()), ("b", TREE)]), voting="soft"), "LinearSVC has no"),
        (lambda: fitted(CalibratedClassifierCV(vote(XGBOOST), method="temperature", cv=2)), "are float32"),
        (lambda: vote(TREE), "VotingClassifier is not fitted"),
    ],
)
def test_what_is_refused(model, message):
    with pytest.raises(UnsupportedModelError, match=message):
        assemble(model())


def test_too_many_members(monkeypatch):
    monkeypatch.setattr(voting, "MAXIMUM_MEMBERS", 1)
    with pytest.raises(UnsupportedModelError, match="2 members and the compiler stops at 1"):
        assemble(fitted(vote(TREE, FOREST)))
