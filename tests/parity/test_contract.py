"""What a compiled function does at its edges: odd arrays, refused values, hostile sessions."""

import numpy as np
import psycopg
import pytest
from hostile_rows import near, sprinkle, tree_thresholds
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainer.compiler import export_to_postgres, interpreter, runtime_sql

INVALID = psycopg.errors.InvalidParameterValue


@pytest.fixture(scope="module")
def models():
    X, y = load_iris(return_X_y=True)
    target = y > 0
    return {
        "forest": RandomForestClassifier(n_estimators=3, random_state=0).fit(X, target),
        "gradient": GradientBoostingClassifier(n_estimators=3).fit(X, target),
        "hist": HistGradientBoostingClassifier(max_iter=5).fit(sprinkle(X, [np.nan], 0.1), target),
        "linear": LogisticRegression(max_iter=1000).fit(X, target),
        "pipeline": make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X, target),
        "softmax": LogisticRegression(max_iter=1000).fit(X, y),
        "network": MLPClassifier((4,), solver="lbfgs", activation="tanh", random_state=0).fit(X, target),
        "vote": VotingClassifier(
            [("forest", RandomForestClassifier(n_estimators=3)), ("linear", LogisticRegression(max_iter=1000))],
            voting="soft",
            weights=[0.7, 2],
        ).fit(X, y),
    }


@pytest.mark.parametrize("name", ["forest", "gradient", "hist", "linear", "pipeline", "softmax", "network", "vote"])
def test_shape_of_the_argument(scorer, models, name):
    model = models[name]
    scorer.install(model)
    execute = scorer.connection.execute
    assert execute("SELECT score(NULL)").fetchone() == (None,)
    for wrong in ("{}", "{1,2,3}", "{{1,2,3,4},{1,2,3,4}}", "[0:3]={1,2,3,4}"):
        with pytest.raises(INVALID, match="one-dimensional array of at least 4 values"):
            execute("SELECT score(%s::float8[])", [wrong])
    exact = execute("SELECT score('{1,2,3,4}')").fetchone()
    for longer in ("{1,2,3,4,5,6}", "{1,2,3,4,NULL}", "{1,2,3,4,Infinity}", "{1,2,3,4,NaN}"):
        assert execute("SELECT score(%s::float8[])", [longer]).fetchone() == exact
    assert np.allclose(exact[0], model.predict_proba([[1.0, 2.0, 3.0, 4.0]])[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("forest", ["Infinity", "-Infinity", "3.4028235677973366e38", "-1e39"]),
        ("gradient", ["Infinity", "-Infinity", "3.4028235677973366e38", "-1e39", "NULL", "NaN"]),
        ("linear", ["Infinity", "-Infinity", "NULL", "NaN"]),
        ("softmax", ["Infinity", "-Infinity", "NULL", "NaN"]),
        ("pipeline", ["Infinity", "-Infinity"]),
    ],
)
def test_values_that_the_library_refuses(scorer, models, name, refused):
    scorer.install(models[name])
    for text in refused:
        value = np.nan if text in ("NULL", "NaN") else float(text)
        with pytest.raises(ValueError, match=r"infinity|NaN"), np.errstate(over="ignore"):
            models[name].predict_proba([[1.0, value, 3.0, 4.0]])
        with pytest.raises(INVALID, match="feature 2 is"):
            scorer.connection.execute("SELECT score(%s::float8[])", [f"{{1,{text},3,4}}"])


def test_arithmetic_that_overflows_is_an_error(scorer, models):
    scorer.install(models["pipeline"])
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        scorer.connection.execute("SELECT score('{1e308,-1e308,1e308,1e308}')")


def test_attributes_of_the_function(scorer, models):
    scorer.connection.execute(export_to_postgres(models["hist"], 'public.od"d name'))
    row = scorer.connection.execute(
        """SELECT provolatile::text, proparallel::text, proisstrict, prosecdef, proconfig, lanname::text,
                  pg_get_function_arguments(f.oid), pg_get_function_result(f.oid)
             FROM pg_proc AS f JOIN pg_language AS l ON l.oid = prolang
            WHERE proname = 'od"d name'"""
    ).fetchone()
    arrays = ("p_features double precision[]", "double precision[]")
    assert row == ("i", "s", False, False, None, "plpgsql", *arrays)


def test_revoke_from_public(scorer, models):
    scorer.connection.execute(export_to_postgres(models["hist"], "score", revoke_from_public=True))
    assert scorer.connection.execute(
        "SELECT has_function_privilege('pg_monitor', 'score(float8[])', 'EXECUTE')"
    ).fetchone() == (False,)


@pytest.mark.parametrize("standard_strings", ["on", "off"])
def test_comment_keeps_hostile_names(scorer, models, standard_strings):
    names = ["it's", "\\", "a\nb", "$function$"]
    execute = scorer.connection.execute
    execute("SELECT set_config('standard_conforming_strings', %s, false)", [standard_strings])
    execute(export_to_postgres(models["hist"], "score", names))
    comment = execute("SELECT obj_description('score'::regproc)").fetchone()[0]
    assert comment == (
        "HistGradientBoostingClassifier: probabilities of the classes [false, true];"
        r""" p_features holds ["it's", "\\", "a\nb", "$function$"]."""
    )


def test_runtime_installs_any_number_of_times_in_any_schema(scorer, models):
    hostile = 'od"d $body$ @schema@'
    for _ in range(2):
        scorer.connection.execute(runtime_sql(hostile))
    scorer.connection.execute(export_to_postgres(models["softmax"], "score", runtime_schema=hostile))
    assert scorer.connection.execute("SELECT score('{1,2,3,4}')").fetchone()[0]


HOSTILE_PATH = """
CREATE SCHEMA evil;
CREATE DOMAIN evil."float8" AS text;
CREATE FUNCTION evil.wrong(double precision, double precision) RETURNS boolean LANGUAGE sql RETURN false;
CREATE FUNCTION evil.wrong(integer, integer) RETURNS boolean LANGUAGE sql RETURN false;
CREATE FUNCTION evil.zero(double precision, double precision) RETURNS double precision LANGUAGE sql RETURN 0;
CREATE FUNCTION evil.zero(integer, integer) RETURNS integer LANGUAGE sql RETURN 1;
CREATE OPERATOR evil.<= (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.wrong);
CREATE OPERATOR evil.>= (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.wrong);
CREATE OPERATOR evil.< (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.wrong);
CREATE OPERATOR evil.> (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.wrong);
CREATE OPERATOR evil.> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.wrong);
CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.wrong);
CREATE OPERATOR evil.+ (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.zero);
CREATE OPERATOR evil.- (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.zero);
CREATE OPERATOR evil.* (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.zero);
CREATE OPERATOR evil./ (LEFTARG = double precision, RIGHTARG = double precision, FUNCTION = evil.zero);
CREATE OPERATOR evil.+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.zero);
CREATE FUNCTION evil.exp(double precision) RETURNS double precision LANGUAGE sql RETURN 0;
CREATE FUNCTION evil.abs(double precision) RETURNS double precision LANGUAGE sql RETURN 0;
CREATE FUNCTION evil.array_upper(double precision[], integer) RETURNS integer LANGUAGE sql RETURN 1;
CREATE FUNCTION evil.array_cat(double precision[], double precision[]) RETURNS double precision[]
  LANGUAGE sql RETURN '{}'::double precision[];
CREATE FUNCTION evil.array_replace(double precision[], double precision, double precision)
  RETURNS double precision[] LANGUAGE sql RETURN '{}'::double precision[];
"""


@pytest.mark.parametrize("name", ["forest", "gradient", "hist", "linear", "pipeline", "softmax", "network", "vote"])
def test_search_path_has_no_say(scorer, models, name):
    """Holds even for a path that puts pg_catalog last, and for a function created under it."""
    execute = scorer.connection.execute
    row = (
        "'{5.1,3.3,1.7,0.5}'::double precision[]"
        if name in ("linear", "gradient", "softmax", "network", "vote")
        else ("'{5.1,NULL,1.7,NaN}'::double precision[]")
    )
    scorer.install(models[name])
    expected = execute(f"SELECT public.score({row})").fetchone()
    execute(HOSTILE_PATH)
    execute("SET search_path = evil, public, pg_catalog")
    assert execute("SELECT 1.0::double precision <= 2.0::double precision").fetchone() == (False,)
    assert execute(f"SELECT public.score({row})").fetchone() == expected
    execute(runtime_sql())
    execute(export_to_postgres(models[name], "public.score"))
    assert execute(f"SELECT public.score({row})").fetchone() == expected


def test_session_settings_have_no_say(scorer, models):
    scorer.install(models["hist"])
    query = "SELECT score('{5.1,NULL,1.7,0.5}')"
    expected = scorer.connection.execute(query).fetchone()
    for setting in ("extra_float_digits = -15", "datestyle = 'SQL'", "jit = on", "jit_above_cost = 0"):
        scorer.connection.execute(f"SET {setting}")
    got = scorer.connection.execute("SELECT score('{5.1,NULL,1.7,0.5}') = %s::float8[]", [expected[0]]).fetchone()
    assert got == (True,)


@pytest.mark.parametrize("operator", ["<", ">="])
def test_parity_notices_a_wrong_comparison(scorer, monkeypatch, operator):
    """These tests are worth something only if they fail when the emitter is wrong."""
    X, y = load_breast_cancer(return_X_y=True)
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y)
    rows = near(tree_thresholds(model), X, 100)
    assert np.array_equal(scorer.model(model, rows), model.predict_proba(rows))
    right = interpreter.CodeGenerator.operation
    monkeypatch.setattr(
        interpreter.CodeGenerator,
        "operation",
        lambda self, a, op, b: right(self, a, operator if op == "<=" else op, b),
    )
    assert not np.array_equal(scorer.model(model, rows), model.predict_proba(rows))


def test_parity_notices_a_missing_value_sent_the_wrong_way(scorer):
    X, y = load_breast_cancer(return_X_y=True)
    X = sprinkle(X, [np.nan], 0.2)
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y)
    for predictors in model._predictors:
        predictors[0].nodes["missing_go_to_left"] ^= 1
    wrong = export_to_postgres(model, "score")
    for predictors in model._predictors:
        predictors[0].nodes["missing_go_to_left"] ^= 1
    scorer.connection.execute(wrong)
    assert not np.array_equal(scorer.rows(X), model.predict_proba(X))
