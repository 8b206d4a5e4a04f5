"""The forms of one model: walk, CASE, tiered, inlined and by row give the same numbers as the library."""

import re

import numpy as np
import psycopg
import pytest
from hostile_rows import near, sprinkle, tree_thresholds
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from trainer.compiler import UnsupportedModelError, compile_model, export, export_to_postgres

CANCER = load_breast_cancer(return_X_y=True)
WINE = load_wine(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
GAPS = (sprinkle(CANCER[0], [np.nan], 0.1), CANCER[1])

_random = np.random.default_rng(0)
# Three numbers with gaps and zeros, and a code.
_numbers = sprinkle(sprinkle(_random.normal(size=(500, 3)), [0.0], 0.2), [np.nan], 0.1)
_codes = _random.integers(0, 9, 500)
CODED = (
    np.column_stack([_numbers, _codes]),
    ((np.nan_to_num(_numbers[:, 0]) + (_codes % 3) + _random.normal(size=500)) > 1).astype(int),
)
# Sums of products, and exponentials that the library takes from numpy.
TOLERANCES = {"linear": 1e-12, "linear_regression": 1e-12, "regression": 1e-12, "histogram_of_classes": 1e-14}
QUIET = {"random_state": 0, "n_jobs": 1, "verbose": -1}
ALONE = {"random_state": 0, "n_jobs": 1}

MODELS = {
    "boosting": lambda: (GradientBoostingClassifier(n_estimators=20, random_state=0), CANCER),
    "histogram": lambda: (HistGradientBoostingClassifier(max_iter=25, random_state=0), GAPS),
    "histogram_of_classes": lambda: (HistGradientBoostingClassifier(max_iter=8, random_state=0), WINE),
    "regression": lambda: (HistGradientBoostingRegressor(max_iter=10, loss="poisson", random_state=0), DIABETES),
    "forest": lambda: (RandomForestClassifier(n_estimators=8, max_depth=6, random_state=0), GAPS),
    "forest_of_classes": lambda: (RandomForestClassifier(n_estimators=5, max_depth=4, random_state=0), WINE),
    "forest_regression": lambda: (RandomForestRegressor(n_estimators=5, max_depth=5, random_state=0), DIABETES),
    "pipeline": lambda: (
        make_pipeline(
            SimpleImputer(add_indicator=True),
            StandardScaler(),
            GradientBoostingClassifier(n_estimators=15, random_state=0),
        ),
        GAPS,
    ),
    "lightgbm": lambda: (
        LGBMClassifier(n_estimators=25, max_cat_to_onehot=2, min_data_per_group=5, **QUIET),
        CODED,
    ),
    "lightgbm_zero_as_missing": lambda: (LGBMClassifier(n_estimators=10, zero_as_missing=True, **QUIET), CODED),
    "lightgbm_forest": lambda: (
        LGBMRegressor(n_estimators=8, boosting_type="rf", subsample=0.7, subsample_freq=1, **QUIET),
        DIABETES,
    ),
    "xgboost": lambda: (XGBClassifier(n_estimators=20, **ALONE), GAPS),
    "xgboost_of_classes": lambda: (XGBClassifier(n_estimators=6, **ALONE), WINE),
    "xgboost_sentinel": lambda: (XGBRegressor(n_estimators=10, missing=0.0, **ALONE), CODED),
    "xgboost_categories": lambda: (
        XGBClassifier(n_estimators=10, feature_types=["q", "q", "q", "c"], enable_categorical=True, **ALONE),
        CODED,
    ),
    "calibrated": lambda: (
        CalibratedClassifierCV(
            HistGradientBoostingClassifier(max_iter=10, categorical_features=[3], random_state=0),
            method="isotonic",
            cv=3,
        ),
        CODED,
    ),
    "encoded": lambda: (
        make_pipeline(
            ColumnTransformer(
                [("codes", OneHotEncoder(handle_unknown="ignore"), [3]), ("numbers", SimpleImputer(), [0, 1])],
            ),
            RandomForestClassifier(n_estimators=6, max_depth=6, random_state=0),
        ),
        CODED,
    ),
    "stumps": lambda: (HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1000), CANCER),
    "linear": lambda: (make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), GAPS),
    "linear_regression": lambda: (LinearRegression(), DIABETES),
}


def fitted(name):
    model, (X, y) = MODELS[name]()
    rows = [X]
    model.fit(X, y, **({"categorical_feature": [3]} if name == "lightgbm" else {}))
    if X.shape[1] == 4:
        rows.append(sprinkle(X[:200], [-1, 2.5, 7, 8, 9, 40, np.nan, 0.0], 0.3))
    if name not in ("linear", "linear_regression", "stumps"):
        rows.append(near(tree_thresholds(model), X, 60))
    return model, np.concatenate(rows)


def case_function(compiled) -> str:
    """Return the name of the function that a tiered one turns to."""
    (name,) = [function.partition("(")[0] for function in compiled.report.functions if "_case_" in function]
    return name


def columns(count: int) -> str:
    return ", ".join(f"features[{number}]" for number in range(1, count + 1))


@pytest.mark.parametrize("name", MODELS)
def test_all_forms_give_the_same_numbers(scorer, name):
    model, rows = fitted(name)
    count = rows.shape[1]
    connection = scorer.connection
    attributes = ", ".join(f"x{number} float8" for number in range(count))
    connection.execute(f"CREATE TYPE public.measured AS ({attributes})")
    expected = scorer.model(model, rows)
    wanted = model.predict_proba(rows) if hasattr(model, "classes_") else model.predict(rows).reshape(-1, 1)
    assert np.abs(expected - wanted).max() <= TOLERANCES.get(name, 0)
    is_tree = "linear" not in name
    for form in ("walk", "case", "tiered") if is_tree else ("walk",):
        compiled = compile_model(model, "public.other", form=form, set_based=True, row_type="public.measured")
        connection.execute(compiled.sql)
        calls = ["other(features)", f"other_columns({columns(count)})", f"other(ROW({columns(count)})::measured)"]
        if form == "tiered":
            calls.append(f"{case_function(compiled)}(features)")
        for call in calls:
            scored = connection.execute(f"SELECT {call} FROM row_to_score ORDER BY id").fetchall()
            assert np.array_equal(np.array([row[0] for row in scored]), expected), (form, call)
        for function in compiled.report.functions:
            connection.execute(f"DROP FUNCTION {function}")


@pytest.mark.parametrize("form", ["walk", "case", "tiered"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39, -3.5e38])
def test_all_forms_refuse_what_the_library_refuses(scorer, form, value):
    model = RandomForestRegressor(n_estimators=3, random_state=0).fit(*DIABETES)
    scorer.connection.execute(export_to_postgres(model, "public.score", form=form, set_based=True))
    row = DIABETES[0][0].tolist()
    row[4] = value
    for call in ("score(%s::float8[])", f"score_columns({', '.join(['%s'] * len(row))})"):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="feature 5 is"):
            scorer.connection.execute(f"SELECT {call}", [row] if "[]" in call else row)


@pytest.mark.parametrize("form", ["walk", "case", "tiered"])
def test_all_forms_refuse_missing_values_where_the_library_does(scorer, form):
    model = GradientBoostingClassifier(n_estimators=3, random_state=0).fit(*CANCER)
    scorer.connection.execute(export_to_postgres(model, "public.score", form=form, set_based=True))
    for missing in (None, np.nan):
        row = CANCER[0][0].tolist()
        row[7] = missing
        for call in ("score(%s::float8[])", f"score_columns({', '.join(['%s::float8'] * len(row))})"):
            with pytest.raises(psycopg.errors.InvalidParameterValue, match="feature 8 is missing"):
                scorer.connection.execute(f"SELECT {call}", [row] if "[]" in call else row)


def test_a_tiered_function_changes_its_form_and_forgets_with_the_transaction(scorer):
    model, rows = fitted("histogram")
    compiled = compile_model(model, "public.score", form="tiered")
    report = compiled.report
    scorer.connection.execute(export_to_postgres(model, "score", form="walk"))
    expected = scorer.rows(rows[:50])[:1]

    def rows_scored(count):
        return scorer.connection.execute(
            "SELECT score(features) FROM row_to_score, generate_series(1, 1000) WHERE id < 50 LIMIT %s", [count]
        ).fetchall()

    # The CASE form is wrong on purpose: what it returns tells when it is called.
    scorer.connection.execute(compiled.sql)
    scorer.connection.execute(
        f"CREATE OR REPLACE FUNCTION {case_function(compiled)}(p_features float8[]) RETURNS float8[] LANGUAGE sql AS 'SELECT ARRAY[-1.0]::float8[]'"
    )
    assert report.session_rows is not None
    assert report.transaction_rows is not None
    first = rows_scored(report.session_rows + report.transaction_rows + 5)
    changed = [row[0] == [-1.0] for row in first]
    assert changed == [False] * (report.session_rows + report.transaction_rows) + [True] * 5
    later = rows_scored(report.transaction_rows + 2)
    assert [row[0] == [-1.0] for row in later] == [False] * report.transaction_rows + [True] * 2
    assert np.array_equal(np.array([later[0][0]]), expected)


def test_the_function_of_columns_is_inlined(scorer):
    model, rows = fitted("histogram")
    scorer.connection.execute(export_to_postgres(model, "public.score", set_based=True))
    scorer.rows(rows[:10])
    names = [f"c{number}" for number in range(rows.shape[1])]
    scorer.connection.execute(f"CREATE TABLE wide ({', '.join(f'{name} float8' for name in names)})")
    plan = scorer.connection.execute(
        f"EXPLAIN (VERBOSE, COSTS OFF) SELECT score_columns({', '.join(names)}) FROM wide"
    ).fetchall()
    output = next(row[0] for row in plan if "Output:" in row[0])
    assert "score_columns(" not in output
    assert "CASE WHEN" in output


def test_forms_that_cannot_be_written_are_refused_or_left_out():
    model, _ = fitted("histogram")
    with pytest.raises(UnsupportedModelError, match="no form 'fast'"):
        export_to_postgres(model, "score", form="fast")
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(60, 101))
    report = compile_model(RandomForestRegressor(2).fit(wide, wide[:, 0]), "public.score", set_based=True).report
    assert report.functions == ('"public"."score"(double precision[])',)
    assert re.search("101 features, and a PostgreSQL function takes at most 100", report.notes[0])


def test_a_tiered_function_keeps_the_statement_out_of_parallel_plans(scorer):
    model, rows = fitted("forest_regression")
    scorer.connection.execute(export_to_postgres(model, "public.score", form="tiered", set_based=True))
    expected = scorer.rows(rows)
    execute = scorer.connection.execute
    execute("CREATE TABLE many AS SELECT r.* FROM row_to_score AS r, generate_series(1, 300)")
    execute("ANALYZE many")
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        execute(f"SET {setting} = 0")
    count = rows.shape[1]
    for call, is_parallel in (("score(features)", False), (f"score_columns({columns(count)})", True)):
        query = f"SELECT count(DISTINCT {call}), max({call}) FROM many WHERE id >= 0"
        plan = "\n".join(row[0] for row in execute(f"EXPLAIN {query}").fetchall())
        assert ("Gather" in plan) == is_parallel
        found = execute(query).fetchone()
        assert found == (len(np.unique(expected)), [expected.max()])


def test_functions_of_one_model_find_each_other_whatever_the_search_path(scorer):
    model, _ = fitted("histogram")
    compiled = compile_model(model, "public.score", form="tiered", set_based=True, row_type="public.row_to_score")
    for name in ("score", "other"):
        text = export_to_postgres(model, name, form="walk")
        assert text.count("FUNCTION") == 2
        with pytest.raises(UnsupportedModelError, match=rf"give schema\.{name}"):
            export_to_postgres(model, name, form="tiered")
        with pytest.raises(UnsupportedModelError, match="whatever the caller's search_path"):
            export_to_postgres(model, name, set_based=True)
        with pytest.raises(UnsupportedModelError, match="need a schema"):
            export_to_postgres(model, name, row_type="t")
    assert compile_model(model, "score").report.form == "walk"
    code = re.sub(r"E?'(?:[^']|'')*'|--[^\n]*", "", compiled.sql)
    for function in re.findall(r'"([a-z_0-9]+)"\(', code):
        assert f'"public"."{function}"(' in code
        assert f' "{function}"(' not in code


def test_a_second_model_of_another_form_is_never_mixed_with_the_first(scorer):
    first, rows = fitted("boosting")
    X, y = CANCER
    second = GradientBoostingClassifier(n_estimators=20, random_state=0).fit(X, 1 - y)
    scorer.connection.execute(export_to_postgres(first, "public.score", form="tiered", set_based=True))
    compiled = compile_model(second, "public.score", form="tiered", set_based=True)
    scorer.connection.execute(compiled.sql)
    expected = second.predict_proba(rows[:50])
    scorer.rows(rows[:50])
    repeated = scorer.connection.execute(
        "SELECT id, score(features) FROM row_to_score, generate_series(1, %s)",
        [(compiled.report.session_rows + compiled.report.transaction_rows) // 50 + 2],
    ).fetchall()
    assert all(score == expected[row].tolist() for row, score in repeated)
    assert scorer.connection.execute(
        f"SELECT bool_and(score_columns({columns(30)}) = score(features)) FROM row_to_score"
    ).fetchone() == (True,)


def test_a_helper_is_not_overwritten():
    with pytest.raises(UnsupportedModelError, match=r"ml\.softmax is a function that compiled models call"):
        export_to_postgres(fitted("boosting")[0], "ml.softmax")


def test_limits_of_the_case_form(monkeypatch):
    model, _ = fitted("histogram")
    monkeypatch.setattr(export, "MAXIMUM_DEPTH", 2)
    report = compile_model(model, "public.score", set_based=True).report
    assert report.form == "walk"
    assert all("max_stack_depth" in note for note in report.notes)
    with pytest.raises(UnsupportedModelError, match="max_stack_depth"):
        export_to_postgres(model, "score", form="case")
    monkeypatch.undo()
    monkeypatch.setattr(export, "MAXIMUM_TREES", 2)
    report = compile_model(model, "public.score", set_based=True).report
    assert report.form == "tiered"
    assert "not inlined" in report.notes[0]
    monkeypatch.undo()
    monkeypatch.setattr(export, "MAXIMUM_CASE_SPLITS", 2)
    assert "seconds" in compile_model(model, "score").report.notes[0]
