"""The text as a whole: exactly the expected statements, whatever the names; what is refused, and how."""

import re

import numpy as np
import pandas as pd
import pglast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pglast import ast as sql
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from trainer.compiler import UnsupportedModelError, compile_model, export, export_to_postgres, runtime_sql
from trainer.compiler.runtime import PLACEHOLDER
from trainer.errors import UserError

X, Y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y)
HIST = HistGradientBoostingClassifier(max_iter=3).fit(X, Y)
NETWORK = MLPClassifier((3, 2), solver="lbfgs", max_iter=500, random_state=0).fit(X, Y)
VOTE = VotingClassifier([("tree", TREE), ("hist", HIST)], voting="soft", weights=[0.3, 2]).fit(X, Y)


def statements(text: str) -> list[sql.Node]:
    return [statement.stmt for statement in pglast.parse_sql(text)]


def assert_is_one_function(text: str, name: list[str], revoke: bool = False) -> sql.CommentStmt:
    create, comment, *rest = statements(text)
    assert isinstance(create, sql.CreateFunctionStmt)
    assert create.replace
    assert [part.sval for part in create.funcname] == name
    options = {option.defname: option.arg for option in create.options}
    assert set(options) == {"language", "volatility", "parallel", "as"}
    assert (options["language"].sval, options["volatility"].sval, options["parallel"].sval) == (
        "plpgsql",
        "immutable",
        "safe",
    )
    assert len(options["as"]) == 1
    (parameter,) = create.parameters
    assert parameter.name == "p_features"
    for type_name in (parameter.argType, create.returnType):
        assert [part.sval for part in type_name.names] == ["pg_catalog", "float8"]
        assert len(type_name.arrayBounds) == 1
    assert isinstance(comment, sql.CommentStmt)
    assert [part.sval for part in comment.object.objname] == name
    assert [type(statement) for statement in rest] == ([sql.GrantStmt] if revoke else [])
    if revoke:
        assert not rest[0].is_grant
        assert rest[0].privileges is None
        assert [part.sval for part in rest[0].objects[0].objname] == name
    pglast.parse_plpgsql(text)
    return comment


@pytest.mark.parametrize("model", [TREE, HIST, NETWORK, VOTE], ids=["tree", "hist", "network", "vote"])
@pytest.mark.parametrize("revoke", [False, True])
def test_statements(model, revoke):
    text = export_to_postgres(model, revoke_from_public=revoke)
    assert_is_one_function(text, ["ml_generated", "score"], revoke)
    assert not re.search(r"\b(commit|rollback|savepoint|begin;)", text, re.IGNORECASE)


hostile = st.text(st.characters(exclude_characters=".\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: len(name.encode()) <= 63
)
INJECTIONS = [
    "'; DROP TABLE x; --",
    '"; DROP TABLE x; --',
    "$function$; DROP TABLE x; --",
    "*/ /*",
    "\\'",
    "a\nb",
]


@settings(deadline=None, max_examples=50)
@given(hostile, hostile, hostile, st.lists(st.text(), min_size=4, max_size=4, unique=True))
def test_hostile_names(schema, name, runtime_schema, feature_names):
    text = export_to_postgres(HIST, f"{schema}.{name}", feature_names, runtime_schema=runtime_schema)
    assert_is_one_function(text, [schema, name])


@pytest.mark.parametrize("name", INJECTIONS)
def test_hostile_labels_and_names(name):
    labels = np.array(["plain", name, "other"])[Y]
    names = [name, "b", "c", "d"]
    model = DecisionTreeClassifier(max_depth=1).fit(pd.DataFrame(X, columns=names), labels)
    text = export_to_postgres(model, f"s.{name.replace('.', '')}", runtime_schema=name)
    comment = assert_is_one_function(text, ["s", name])
    assert comment.comment.startswith("DecisionTreeClassifier: probabilities of the classes")
    code = [line for line in export_to_postgres(model, "score").splitlines() if not line.startswith("--")]
    assert name not in "\n".join(code).split("COMMENT ON")[0]
    assert isinstance(statements(runtime_sql(name))[0], sql.CreateSchemaStmt)


def test_text_is_plain_ascii_and_the_same_every_time():
    model = DecisionTreeClassifier(max_depth=1).fit(X, np.array(["ä", "日本", "c"])[Y])
    text = export_to_postgres(model, "score", ["é", "b", "c", "d"])
    assert text.isascii()
    assert text == export_to_postgres(model, "score", ["é", "b", "c", "d"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b"], "2 names and the model has 4"),
        (["a", "b", "c", "a"], "twice"),
        (["a", "b", "c", 4], "not text"),
    ],
)
def test_feature_names_that_do_not_fit(names, message):
    with pytest.raises(UnsupportedModelError, match=message):
        export_to_postgres(TREE, "score", names)


def test_feature_names_in_another_order_than_fitted():
    model = DecisionTreeClassifier().fit(pd.DataFrame(X, columns=list("abcd")), Y)
    assert compile_model(model, "score").report.features == ("a", "b", "c", "d")
    assert export_to_postgres(model, "score", list("abcd"))
    with pytest.raises(UnsupportedModelError, match="order"):
        export_to_postgres(model, "score", list("abdc"))


def test_report():
    compiled = compile_model(TREE, "score")
    report = compiled.report
    assert report.algorithm == "DecisionTreeClassifier"
    assert report.features == ("x0", "x1", "x2", "x3")
    assert report.classes == (0, 1, 2)
    assert report.sql_bytes == len(compiled.sql.encode())
    assert (report.trees, report.splits, report.leaves, report.max_depth, report.steps) == (1, 2, 3, 2, 2)
    assert report.runtime_helpers == ("check_features",)
    binary = compile_model(HistGradientBoostingClassifier(max_iter=4).fit(X, Y > 0), "score").report
    assert (binary.trees, binary.runtime_helpers, binary.classes) == (4, ("expit",), (False, True))
    assert binary.leaves == binary.splits + 4


def multi_output():
    return np.column_stack([Y, Y]).astype(float)


categorical = pd.DataFrame({"a": pd.Categorical(["x", "y", "z"] * 50), "b": X[:, 0]})


def stand_in(module, name):
    """Make a class that looks like that of a library which the tests do not need."""

    class StandIn(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])
        n_features_in_ = 4

        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    StandIn.__name__ = StandIn.__qualname__ = name
    StandIn.__module__ = module
    return StandIn


class Derived(LogisticRegression):
    """A subclass may predict otherwise."""


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: stand_in("catboost.core", "CatBoostClassifier")(), "CatBoostClassifier is not supported"),
        (lambda: CalibratedClassifierCV(TREE), "CalibratedClassifierCV is not fitted"),
        (lambda: GaussianNB().fit(X, Y), "GaussianNB is not supported; use a linear model"),
        (lambda: LinearSVC().fit(X, Y), "LinearSVC has no predict_proba; fit it inside CalibratedClassifierCV"),
        (lambda: Derived(max_iter=1000).fit(X, Y), "Derived is not supported"),
        (lambda: "a model", "str is not supported"),
        (lambda: LogisticRegression, "LogisticRegression is a class; give a fitted instance"),
        (lambda: stand_in("lightgbm.basic", "Booster")(), "give the estimator of scikit-learn's kind"),
        (lambda: None, "NoneType is not supported"),
        (lambda: DecisionTreeClassifier(), "DecisionTreeClassifier is not fitted"),
        (lambda: Pipeline([("a", StandardScaler()), ("b", TREE)]), "StandardScaler is not fitted"),
        (lambda: make_pipeline(StandardScaler(), LogisticRegression()), "not fitted"),
        (
            lambda: make_pipeline(StandardScaler(), "passthrough").fit(X),
            "without an estimator is not supported",
        ),
        (
            lambda: make_pipeline(PCA(2), LogisticRegression()).fit(X, Y),
            "PCA as a pipeline step is not supported",
        ),
        (
            lambda: make_pipeline(SimpleImputer(missing_values=-1), DecisionTreeClassifier()).fit(X, Y),
            "missing_values=-1",
        ),
        (lambda: RandomForestRegressor(n_estimators=2).fit(X, multi_output()), "several targets"),
        (lambda: DecisionTreeClassifier().fit(X, np.column_stack([Y, Y])), "several targets"),
        (lambda: LinearRegression().fit(X, multi_output()), "several targets"),
        (
            lambda: GradientBoostingClassifier(n_estimators=2, init=DecisionTreeClassifier()).fit(X, Y),
            "estimator as init",
        ),
        (lambda: HistGradientBoostingClassifier(max_iter=2).fit(categorical, Y), "fit it on numeric codes"),
        (lambda: HistGradientBoostingClassifier(max_iter=2).fit(X, np.zeros(len(X))), "single class"),
    ],
)
def test_refused_by_name(model, message):
    with pytest.raises(UnsupportedModelError, match=re.escape(message)) as refusal:
        export_to_postgres(model(), "score")
    assert isinstance(refusal.value, UserError)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("coefficient", [1e-250, 1e90, np.nan, np.inf])
def test_coefficients_out_of_range(coefficient):
    model = LogisticRegression().fit(X, Y > 0)
    model.coef_[0, 2] = coefficient
    with pytest.raises(UnsupportedModelError, match="coefficient"):
        export_to_postgres(model, "score")


def test_too_many_features():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(10, 1601))
    with pytest.raises(UnsupportedModelError, match="1,601 features and the compiler stops at 1,600"):
        export_to_postgres(LinearRegression().fit(wide, wide[:, 0]), "score")
    model = LinearRegression().fit(wide[:, :1600], wide[:, 0])
    assert compile_model(model, "score").report.sql_bytes < 80_000


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("MAXIMUM_SPLITS", "splits and the compiler stops at 1"),
        ("MAXIMUM_STEPS", "splits on its longest paths"),
        ("MAXIMUM_SQL_BYTES", "bytes of SQL"),
    ],
)
def test_too_large(monkeypatch, limit, message):
    monkeypatch.setattr(export, limit, 1)
    with pytest.raises(UnsupportedModelError, match=message):
        export_to_postgres(HIST, "score")


def test_a_hundred_deep_trees_compile_quickly():
    rng = np.random.default_rng(0)
    model = RandomForestClassifier(n_estimators=20, random_state=0).fit(
        rng.normal(size=(2000, 5)), rng.integers(2, size=2000)
    )
    assert compile_model(model, "score").report.splits > 5000


# The runtime


def runtime_files() -> dict[str, str]:
    from importlib.resources import files

    folder = files("trainer.compiler.runtime")
    return {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}


@pytest.mark.parametrize("name", sorted(runtime_files()))
def test_runtime_file(name):
    text = runtime_files()[name]
    comments = [line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--")]
    sentence, *header = comments
    assert all(word in " ".join(header) for word in ("Called by:", "Calls:", "Reads:", "Writes:"))
    assert PLACEHOLDER not in " ".join(comments)
    create, comment = statements(text.replace(PLACEHOLDER, "ml"))
    assert create.replace
    assert [part.sval for part in create.funcname] == ["ml", name.removesuffix(".sql")]
    assert comment.comment == sentence
    options = {option.defname: option.arg for option in create.options}
    assert options["volatility"].sval == "immutable"
    assert options["parallel"].sval == "safe"
    assert all(parameter.name.startswith("p_") for parameter in create.parameters)


def test_runtime_sql_is_all_files_and_a_schema():
    found = statements(runtime_sql('a"b'))
    assert isinstance(found[0], sql.CreateSchemaStmt)
    assert found[0].if_not_exists
    assert found[0].schemaname == 'a"b'
    assert len(found) == 1 + 2 * len(runtime_files())


@pytest.mark.parametrize(
    "text", [runtime_sql(), *(export_to_postgres(model, "score") for model in (TREE, HIST, NETWORK, VOTE))]
)
def test_no_operator_is_looked_up_by_search_path(text):
    """Without literals, OPERATOR(pg_catalog.+) and syntax, no operator and no unqualified call is left."""
    code = re.sub(r"--[^\n]*|E?'(?:[^']|'')*'", "", text)
    code = re.sub(r"OPERATOR\(pg_catalog\.[^)]*\)|USING ERRCODE =|:=|::", " ", code)
    assert not re.search(r"[-+*/<>=~!@#%^&|`?]", code)
    calls = set(re.findall(r"(?<![.\w\"])([a-z_]+)\(", code))
    assert calls <= {"any", "coalesce"}


def test_pipeline_starting_with_a_placeholder():
    model = Pipeline([("nothing", "passthrough"), ("scale", StandardScaler()), ("fit", LogisticRegression())])
    assert compile_model(model.fit(X, Y), "score").report.features == ("x0", "x1", "x2", "x3")
