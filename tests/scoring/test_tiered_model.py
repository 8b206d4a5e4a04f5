"""A tiered model behind the row trigger: many rows of a transaction take the CASE form, and the scores stay the same."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from support import add_bars, go_live, rows, value

from trainer.compiler import compile_model

FEATURES = ("rsi_14", "day_of_week")
EVENTS = (
    "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
    " SELECT symbol, timeframe, 'hammer', ts, 0.5 FROM price_bars, generate_series(1, %s) WHERE ts >= '2024-03-01'"
)


def install_tiered_champion(db):
    rng = np.random.default_rng(0)
    X = rng.normal(50, 20, size=(2000, 2))
    y = np.where(X[:, 0] + rng.normal(0, 20, 2000) > 50, "win", "rest")
    model = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(X, y)
    golden = {"golden_rows": [{"features": {"rsi_14": 50.0, "day_of_week": 1.0}, "probabilities": [0.15, 0.85]}]}
    go_live(db, features=FEATURES, card=golden)
    compiled = compile_model(model, "ml_generated.score_toy", list(FEATURES), form="tiered")
    db.execute(compiled.sql)
    (case,) = [function for function in compiled.report.functions if "_case_" in function]
    return model, compiled.report, case.partition("(")[0]


def test_a_bulk_insert_takes_the_case_form(db):
    add_bars(db)
    _, report, case = install_tiered_champion(db)
    db.execute(
        f"CREATE OR REPLACE FUNCTION {case}(p_features float8[]) RETURNS float8[] LANGUAGE plpgsql"
        " IMMUTABLE AS 'BEGIN RETURN ARRAY[0.75, 0.25]; END'"
    )
    events = value(db, "SELECT count(*) FROM price_bars WHERE ts >= '2024-03-01'")
    repetitions = (report.session_rows + report.transaction_rows) // events + 2
    with db.transaction():
        db.execute(EVENTS, [repetitions])
    by_case = value(db, "SELECT count(*) FROM ml_predictions WHERE ml_confidence_raw = 0.25")
    assert by_case == events * repetitions - report.session_rows - report.transaction_rows
    # The next transaction starts with walking.
    db.execute("TRUNCATE pattern_events, ml_predictions")
    db.execute(EVENTS, [1])
    by_case = value(db, "SELECT count(*) FROM ml_predictions WHERE ml_confidence_raw = 0.25")
    assert by_case == events - report.transaction_rows


def test_rows_of_one_insert_get_the_library_s_score_in_either_form(db):
    add_bars(db)
    model, report, _ = install_tiered_champion(db)
    events = value(db, "SELECT count(*) FROM price_bars WHERE ts >= '2024-03-01'")
    db.execute(EVENTS, [(report.session_rows + report.transaction_rows) // events + 2])
    logged = rows(db, "SELECT features, ml_confidence_raw FROM ml_predictions WHERE model_version = 'toy'")
    features = np.array([row["features"] for row in logged], dtype=float)
    win = model.classes_.tolist().index("win")
    assert np.array_equal(model.predict_proba(features)[:, win], [row["ml_confidence_raw"] for row in logged])
