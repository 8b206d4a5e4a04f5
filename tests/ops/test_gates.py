"""Gates of a promotion: each one fails for its own reason, says so with its numbers, and is kept as a row."""

import copy
import math
import re

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from support import add_calibrator, champion, install_model, one, rows, value

from trainer.model_card import hash_of_names

FIGURES = {
    "auc": {"calibrated": {"value": 0.58, "low": 0.545, "high": 0.61}},
    "ece": {"value": 0.02, "low": 0.01, "high": 0.04},
}


def card_with(**changes):
    """Return what to change in the card of a model; a path of names is written with double underscores."""
    card = {"metrics": {"walk_forward": copy.deepcopy(FIGURES)}}
    for path, new in changes.items():
        part = card
        *folders, name = path.split("__")
        for folder in folders:
            part = part.setdefault(folder, {})
        part[name] = new
    return card


def gates(db, version="a", *more):
    query = f"SELECT * FROM ml.check_model({', '.join(['%s'] * (1 + len(more)))})"
    return {row["gate"]: row for row in rows(db, query, version, *more)}


def failed(db, version="a"):
    return {name for name, row in gates(db, version).items() if row["blocking"] and not row["passed"]}


# ------------------------------------------------------------------------------------------------- what is shipped


def test_every_released_model_passes_every_blocking_gate(db):
    released = [row["version"] for row in rows(db, "SELECT version FROM ml_models ORDER BY 1")]
    assert released
    for version in released:
        assert failed(db, version) == set(), version
    for version in [*released, *released]:
        if version != champion(db):
            assert value(db, "SELECT ml.promote(%s, %s, 'test')", version, champion(db))["forced"] is False


def test_what_the_shipped_gain_over_rules_is_worth_is_said_and_blocks_nothing(db):
    row = gates(db, champion(db))["gain over rules"]
    assert (row["passed"], row["blocking"]) == (False, False)
    assert row["value"] == pytest.approx(0.044, abs=5e-4)
    assert row["detail"] == (
        "true positives at as many confirmations as the rule's: +10.6 % [+4.4, +16.2];"
        " its lower bound should be +10.0 % at least"
    )


def test_every_gate_has_a_row(db):
    checked = [row["gate"] for row in rows(db, "SELECT * FROM ml.check_model(%s)", champion(db))]
    assert set(checked) <= {row["gate"] for row in rows(db, "SELECT gate FROM ml_gates")}
    assert len(set(checked)) == len(checked) == 16


def test_a_complete_model_passes(db):
    install_model(db, "a")
    assert failed(db) == set()


# ---------------------------------------------------------------------------------------------- each for its reason


def test_a_model_registered_by_hand_without_figures_is_refused_in_one_sentence(db):
    start = champion(db)
    install_model(db, "a", card={"metrics": {}, "training": {}})
    assert failed(db) == {
        "labels", "calibration", "calibration against champion", "ranking", "ranking against champion",
    }  # fmt: skip
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refusal:
        db.execute("SELECT ml.promote('a', %s, 'test')", (start,))
    sentence = refusal.value.diag.message_primary
    assert sentence.startswith("model version a does not pass its gates: ")
    assert "labels: the card does not count its training events per outcome (training.class_counts)" in sentence
    assert "calibration: no calibration error is stated (model card, walk-forward)" in sentence
    assert "ranking: the card states no ROC-AUC in walk-forward" in sentence
    assert (
        value(db, "SELECT count(*) FROM ml_gate_results"),
        value(db, "SELECT count(*) FROM ml.model_functions WHERE version = 'a'"),
    ) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "gate", "said"),
    [
        ({"training__class_counts": {"win": 199, "loss": 900, "timeout": 900}}, "labels", "900 loss, 900 timeout, 199 win events; needed are 200"),
        ({"training__class_counts": {"loss": 900, "timeout": 900}}, "labels", "does not count"),
        ({"training__class_counts": "many"}, "labels", "does not count"),
        ({"metrics__walk_forward__ece": {"value": 0.0501, "low": 0.01, "high": 0.09}}, "calibration", "error 0.0501 [0.0100, 0.0900]"),
        ({"metrics__walk_forward__ece": 0.06}, "calibration", "error 0.0600 (model card"),
        ({"metrics__walk_forward__ece": {"value": None}}, "calibration", "no calibration error"),
        ({"metrics__walk_forward__ece": "small"}, "calibration", "no calibration error"),
        ({"metrics__walk_forward__auc__calibrated": {"value": 0.6, "low": 0.5, "high": 0.7}}, "ranking", "ROC-AUC 0.600 [0.500, 0.700]"),
        ({"metrics__walk_forward__auc__calibrated": {"value": 0.9, "low": None, "high": None}}, "ranking", "too few events"),
        ({"metrics__walk_forward__auc__calibrated": 0.9}, "ranking", "too few events"),
        ({"metrics__walk_forward__auc__calibrated": {"value": 0.6, "low": 0.52, "high": 0.7}}, "ranking against champion", "0.520 against 0.541 of champion"),
        ({"synthetic": True}, "training data", "trained on synthetic events"),
        ({"intended_use": "TODO: describe"}, "card", '"TODO: describe"'),
        ({"limitations": ["fine", {"deep": " \n"}]}, "card", "1 texts are empty or placeholders"),
        ({"feature_names_sha256": "0" * 64}, "features", "made for other features or another order"),
        ({"feature_names_sha256": None}, "features", "no feature_names_sha256"),
        ({"golden_rows": []}, "golden rows", "no golden rows"),
        ({"golden_rows": "none"}, "golden rows", "no golden rows"),
        ({"golden_rows": [{"features": {}, "probabilities": [0.15]}]}, "golden rows", "largest difference NaN"),
    ],
)  # fmt: skip
def test_each_gate_fails_for_its_own_reason(db, changes, gate, said):
    install_model(db, "a", card=card_with(**changes))
    row = gates(db)[gate]
    assert (row["passed"], row["blocking"]) == (False, True)
    assert said in row["detail"]
    assert gate in failed(db)
    # What follows from it and what cannot be seen without it; nothing else.
    follows = {
        "calibration": {"calibration against champion"},
        "ranking": {"ranking against champion"},
        "golden rows": {"latency"},
    }
    assert failed(db) <= {gate} | follows.get(gate, set())


def test_a_placeholder_inside_a_word_is_none(db):
    install_model(db, "a", card=card_with(intended_use="Autodoing the methodology of placeholders' kin: xxxl"))
    assert gates(db)["card"]["passed"]


def test_an_empty_card_is_said_to_be_none(db):
    db.execute(
        "INSERT INTO ml_models (version, algorithm, classes, feature_names, artefact_sha256, card, metrics, data_window)"
        " VALUES ('a', 'x', '{rest,win}', '{rsi_14}', repeat('0', 64), '{}', '{}', '[,]')"
    )
    assert gates(db)["card"]["detail"] == "there is no model card"
    assert "functions" in failed(db)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("CREATE OR REPLACE FUNCTION ml_generated.score_a(p_features float8[]) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE"
         " AS 'BEGIN RETURN ARRAY[1 - 0.85, 0.85]; END'", "score_a"),
        ("ALTER FUNCTION ml_generated.score_a(float8[]) VOLATILE", "score_a"),
        ("ALTER FUNCTION ml_generated.features_a(ml.feature_vector) SET work_mem = '1MB'", "features_a"),
        ("DROP FUNCTION ml_generated.explain_a(float8[])", "explain_a"),
        ("CREATE FUNCTION ml_generated.score_a_columns(float8) RETURNS float8[] LANGUAGE sql AS 'SELECT ARRAY[$1]'", "score_a_columns"),
    ],
)  # fmt: skip
def test_a_function_that_is_not_the_registered_one_any_more(db, spoil, said):
    """The golden rows still agree with each of these; the hash does not."""
    install_model(db, "a")
    db.execute("CREATE FUNCTION ml_generated.explain_a(float8[]) RETURNS float8[] LANGUAGE sql AS 'SELECT $1'")
    assert "not recorded at registration" in gates(db)["artefact"]["detail"]
    assert value(db, "SELECT ml.record_functions('a')") == 3
    assert value(db, "SELECT ml.record_functions('a')") == 0
    assert gates(db)["artefact"]["detail"] == "3 functions have the SHA-256 of their registration"
    db.execute(spoil)
    row = gates(db)["artefact"]
    assert (row["passed"], row["value"]) == (False, 1)
    assert row["detail"] == f"changed, missing or added since registration: {said}"
    assert failed(db) == {"artefact"}


def test_versions_whose_names_begin_alike_are_kept_apart(db):
    for version in ("a", "a_b", "a-b"):
        install_model(db, version)
    db.execute(
        "CREATE FUNCTION ml_generated.score_a_columns(float8) RETURNS float8[] LANGUAGE sql AS 'SELECT ARRAY[$1]'"
    )
    found = {
        version: {row["function_name"] for row in rows(db, "SELECT * FROM ml.function_hashes(%s)", version)}
        for version in ("a", "a_b", "a-b")
    }
    assert found == {
        "a": {"score_a", "features_a", "score_a_columns"},
        "a_b": {"score_a_b", "features_a_b"},
        "a-b": {"score_a-b", "features_a-b"},
    }


def test_the_released_models_were_recorded_by_the_migration(db):
    recorded = rows(db, "SELECT version, count(*) FROM ml.model_functions GROUP BY 1 ORDER BY 1")
    for row in recorded:
        assert row["count"] == value(db, "SELECT count(*) FROM ml.function_hashes(%s)", row["version"]) >= 2
    assert [row["version"] for row in recorded] == [
        row["version"] for row in rows(db, "SELECT version FROM ml_models ORDER BY 1")
    ]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="never changed"):
        db.execute("UPDATE ml.model_functions SET sha256 = ''")
    with pytest.raises(psycopg.errors.NoDataFound, match="not registered"):
        db.execute("SELECT ml.record_functions('nowhere')")


def test_a_feature_that_is_defined_anew_is_named(db):
    install_model(db, "a")
    db.execute("SELECT ml.record_functions('a')")
    db.execute("UPDATE ml_features SET valid_max = valid_max + 1 WHERE name = 'rsi_14'")
    db.execute("UPDATE ml_features SET position = -position, category = 'context'")  # says nothing about values
    row = gates(db)["features"]
    assert (row["passed"], row["value"]) == (False, 1)
    assert row["detail"] == "defined otherwise than at registration: rsi_14"


def test_the_hash_of_the_features_is_that_of_the_trainer(db):
    names = tuple(row["name"] for row in rows(db, "SELECT name FROM ml_features ORDER BY position DESC LIMIT 3"))
    install_model(db, "a", features=names)
    card = value(db, "SELECT card FROM ml_models WHERE version = 'a'")
    assert card["feature_names_sha256"] == hash_of_names(names)
    assert gates(db)["features"]["passed"]


def test_a_slow_model_is_too_slow(db):
    install_model(db, "a", body="(SELECT ARRAY[1 - 0.85, 0.85]::float8[] FROM pg_sleep(0.03))", probability=0.85)
    assert gates(db)["latency"]["threshold"] == 75
    db.execute("UPDATE ml_settings SET latency_target_ms = 20")
    row = gates(db)["latency"]
    assert (row["passed"], row["threshold"]) == (False, 20)
    said = re.search(r"calls ([\d.]+) ms, to be below 20 ms", row["detail"])
    assert said and float(said[1]) == pytest.approx(row["value"], abs=1e-3)
    db.execute("UPDATE ml_gates SET threshold = 60000 WHERE gate = 'latency'")
    row = gates(db)["latency"]
    assert row["passed"]
    assert 30 <= row["value"] < row["threshold"] == 60000


# --------------------------------------------------------------------------------------------------- calibrators


def test_a_later_calibrator_is_judged_by_its_own_card(db):
    install_model(db, "a", card=card_with(metrics__walk_forward__ece=0.03))
    add_calibrator(db, "a-1", "a")
    assert gates(db)["calibration"]["detail"] == (
        "expected calibration error 0.0300 (model card, walk-forward), at most 0.05"
    )
    add_calibrator(db, "a-2", "a")
    assert gates(db)["calibration"]["detail"] == "no calibration error is stated (card of calibrator a-2)"
    assert gates(db, "a", "a-1")["calibration"]["passed"]
    add_calibrator(db, "a-3", "a", ece={"value": 0.01, "low": 0.005, "high": 0.02})
    row = gates(db)["calibration"]
    assert (row["value"], row["detail"]) == (
        0.01, "expected calibration error 0.0100 [0.0050, 0.0200] (card of calibrator a-3), at most 0.05",
    )  # fmt: skip


def test_a_recalibration_goes_live_through_the_gates(db):
    install_model(db, "a", card=card_with(metrics__walk_forward__ece={"value": 0.02, "low": 0.015, "high": 0.025}))
    add_calibrator(db, "a-1", "a")
    db.execute("SELECT ml.promote('a', %s, 'test')", (champion(db),))
    add_calibrator(db, "a-2", "a", ece={"value": 0.045, "low": 0.04, "high": 0.05})
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refusal:
        db.execute("SELECT ml.promote('a', 'a', 'worse')")
    # 0.045 - 0.020 - sqrt(0.005^2 + 0.005^2)
    assert refusal.value.diag.message_primary == (
        "model version a does not pass its gates: calibration against champion: error 0.0450 against 0.0200 of champion a:"
        " the difference is at least 0.0179 (95 %), which may be 0 at most"
    )
    add_calibrator(db, "a-3", "a", ece={"value": 0.012, "low": 0.008, "high": 0.02})
    result = value(db, "SELECT ml.promote('a', 'a', 'better')")
    assert (result["calibrator"], result["changed"], result["forced"]) == ("a-3", True, False)


def test_a_recalibration_is_compared_with_the_live_calibrator_on_the_same_events(db):
    """The card of the live one is of other, earlier events, on which it may have looked better than it is now."""
    install_model(db, "a", card=card_with(metrics__walk_forward__ece={"value": 0.01, "low": 0.005, "high": 0.011}))
    add_calibrator(db, "a-1", "a")
    db.execute("SELECT ml.promote('a', %s, 'test')", (champion(db),))
    now = {"ece": {"value": 0.04, "low": 0.035, "high": 0.05}}
    live = {"calibrator_version": "a-1", "metrics": {"ece": {"value": 0.08, "low": 0.07, "high": 0.09}}}
    for compared, passes in ((live, True), (live | {"calibrator_version": "other"}, False), (None, False)):
        with db.transaction(force_rollback=True):
            db.execute(
                "INSERT INTO ml_calibrators (calibrator_version, model_version, method, card)"
                " VALUES ('a-2', 'a', 'identity', %s)",
                (Jsonb({"metrics": now, "compared_with": compared}),),
            )
            row = gates(db)["calibration against champion"]
        assert row["passed"] is passes
        assert ("on the same events" in row["detail"]) is passes
    assert row["value"] == pytest.approx(0.04 - 0.01 - math.hypot(0.005, 0.001))


figure = st.tuples(*[st.floats(0, 0.3)] * 3).map(sorted)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(figure, figure)
def test_the_difference_of_two_errors_has_the_limit_of_zou_and_donner(db, ours, theirs):
    with db.transaction(force_rollback=True):
        for version, (low, point, high) in (("theirs", theirs), ("ours", ours)):
            install_model(
                db, version, card=card_with(metrics__walk_forward__ece={"value": point, "low": low, "high": high})
            )
        db.execute("UPDATE ml_aliases SET version = 'theirs', calibrator_version = NULL WHERE alias = 'champion'")
        row = one(db, "SELECT * FROM ml.check_quality('ours', NULL) WHERE gate = 'calibration against champion'")
        same = one(db, "SELECT * FROM ml.check_quality('theirs', NULL) WHERE gate = 'calibration against champion'")
    expected = ours[1] - theirs[1] - np.hypot(ours[1] - ours[0], theirs[2] - theirs[1])
    assert math.isclose(row["value"], expected, rel_tol=1e-12, abs_tol=1e-15)
    assert row["passed"] == (row["value"] <= 0)
    assert same["passed"]


def test_without_a_champion_or_its_figures_there_is_nothing_to_compare_with(db):
    install_model(db, "a")
    db.execute("DELETE FROM ml_aliases")
    against = [row for name, row in gates(db).items() if "against" in name]
    assert [(row["passed"], row["detail"]) for row in against] == [(True, "there is no champion to compare with")] * 2
    install_model(db, "b", card={"metrics": {}})
    db.execute("SELECT ml.promote('b', NULL, 'I know', true)")
    against = [row for name, row in gates(db).items() if "against" in name]
    assert all(row["passed"] and "of champion b is stated" in row["detail"] for row in against)


# ------------------------------------------------------------------------------------------- thresholds and records


def test_thresholds_are_data_and_their_changes_are_audited(db):
    install_model(db, "a", card=card_with(training__class_counts={"win": 50, "loss": 60, "timeout": 70}))
    assert failed(db) == {"labels"}
    db.execute("UPDATE ml_gates SET blocking = false WHERE gate = 'labels'")
    assert failed(db) == set()
    db.execute("UPDATE ml_gates SET blocking = true, threshold = 50 WHERE gate = 'labels'")
    db.execute("UPDATE ml_gates SET threshold = 50 WHERE gate = 'labels'")  # changes nothing
    assert failed(db) == set()
    history = [
        row["details"] for row in rows(db, "SELECT details FROM ml_deployments WHERE action = 'gate' ORDER BY id")
    ]
    assert history == [
        {"gate": "labels", "old": {"gate": "labels", "threshold": 200, "blocking": True},
         "new": {"gate": "labels", "threshold": 200, "blocking": False}},
        {"gate": "labels", "old": {"gate": "labels", "threshold": 200, "blocking": False},
         "new": {"gate": "labels", "threshold": 50, "blocking": True}},
    ]  # fmt: skip
    for change in ("threshold = 'NaN'", "threshold = 'infinity'", "threshold = '-infinity'"):
        with pytest.raises(psycopg.errors.CheckViolation):
            db.execute(f"UPDATE ml_gates SET {change}")
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute("UPDATE ml_gates SET blocking = false WHERE gate = 'functions'")


def test_a_gate_without_its_row_fails_and_says_so(db):
    install_model(db, "a")
    db.execute("DELETE FROM ml_gates")
    assert len(failed(db)) == 16
    for row in gates(db).values():
        assert row["detail"].endswith("(table ml_gates has no row of this gate: restore it)")


def test_a_promotion_stores_every_gate_and_a_refused_one_nothing(db):
    start = champion(db)
    install_model(db, "a", card=card_with(synthetic=True))
    add_calibrator(db, "a-1", "a")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="training data"):
        db.execute("SELECT ml.promote('a', %s, 'test')", (start,))
    assert rows(db, "SELECT * FROM ml_gate_results") == []
    checked = rows(db, "SELECT * FROM ml.check_promotion('a')")
    assert checked == rows(db, "SELECT * FROM ml_gate_results ORDER BY id")
    assert {(row["action"], row["deployment_id"], row["calibrator_version"]) for row in checked} == {
        ("check", None, "a-1")
    }
    assert [row["gate"] for row in checked if not row["passed"] and row["blocking"]] == ["training data"]
    assert champion(db) == start

    result = value(db, "SELECT ml.promote('a', %s, 'a drill', true)", start)
    stored = rows(db, "SELECT * FROM ml_gate_results WHERE deployment_id = %s ORDER BY id", result["deployment_id"])
    kept = ("gate", "passed", "blocking", "value", "threshold", "detail")
    assert [{name: row[name] for name in kept} for row in stored] == result["gates"]
    assert {(row["action"], row["version"], row["actor"]) for row in stored} == {
        ("promote", "a", value(db, "SELECT session_user::text"))
    }
    deployment = one(db, "SELECT * FROM ml_deployments WHERE id = %s", result["deployment_id"])
    assert (deployment["reason"], deployment["details"]["forced"], deployment["details"]["failed_gates"]) == (
        "a drill", True, ["training data"],
    )  # fmt: skip
    artefact = next(row for row in stored if row["gate"] == "artefact")
    assert "were not recorded at registration; the promotion does" in artefact["detail"]
    assert value(db, "SELECT count(*) FROM ml.model_functions WHERE version = 'a'") == 2
    for change in ("UPDATE ml_gate_results SET passed = true", "DELETE FROM ml_gate_results"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="never changed"):
            db.execute(change)


def test_a_check_of_nothing_is_refused(db):
    for version in ("nowhere", None):
        with pytest.raises(psycopg.errors.NoDataFound, match="is not registered"):
            db.execute("SELECT ml.check_promotion(%s)", (version,))


def test_a_model_that_is_removed_takes_its_hashes_along(db):
    install_model(db, "a")
    db.execute("SELECT ml.record_functions('a')")
    db.execute("DELETE FROM ml_models WHERE version = 'a'")
    assert value(db, "SELECT count(*) FROM ml.model_functions WHERE version = 'a'") == 0
    assert value(db, "SELECT count(*) FROM ml.model_features WHERE version = 'a'") == 0


# ------------------------------------------------------------------------------------- label, leaks and the holdout


def test_figures_of_another_label_are_not_compared(db):
    start = champion(db)
    install_model(db, "a", card=card_with(label={"name": "RX"}))
    found = gates(db)
    assert failed(db) == {"label definition"}
    assert found["label definition"]["detail"] == (
        f"label RX, and champion {start} was trained on TB2: their figures cannot be compared"
    )
    assert found["ranking against champion"]["detail"] == "of another label: not compared"


def test_a_leak_that_the_evaluation_found_is_a_warning(db):
    install_model(db, "a")
    assert gates(db)["leak checks"]["detail"] == "the evaluation has no checks for leaks"
    install_model(db, "b")
    checks = [{"check": "random outcomes", "status": "as expected"}, {"check": "gap", "status": "not as expected"}]
    db.execute("ALTER TABLE ml_models DISABLE TRIGGER USER")
    db.execute("UPDATE ml_models SET metrics = %s WHERE version = 'b'", (Jsonb({"leak_checks": checks}),))
    row = gates(db, "b")["leak checks"]
    assert (row["passed"], row["blocking"]) == (False, False)
    assert row["detail"] == "1 of 2 checks for leaks are not as expected, one is: gap"


def test_a_holdout_without_signal_is_a_warning(db):
    no_signal = {"auc": {"calibrated": {"value": 0.503, "low": 0.461, "high": 0.542}}}
    install_model(db, "a", card=card_with(metrics__holdout=no_signal))
    row = gates(db)["holdout"]
    assert (row["passed"], row["blocking"]) == (False, False)
    assert row["detail"].startswith("ROC-AUC 0.503 [0.461, 0.542] on the holdout")
    assert failed(db) == set()
