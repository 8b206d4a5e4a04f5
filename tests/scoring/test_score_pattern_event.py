"""The row trigger: what an INSERT or UPDATE of pattern_events does to the row."""

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from support import (
    PROBABILITY,
    RULE,
    START,
    add_bars,
    champion,
    event,
    go_live,
    insert_event,
    install_model,
    predictions,
    rows,
    value,
)


def test_five_columns_are_enough(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    assert stored["ml_confidence_raw"] == PROBABILITY
    assert stored["ml_confidence"] == PROBABILITY
    assert stored["blended_confidence"] == pytest.approx(0.798, abs=1e-15)
    assert stored["prediction_class"] == "win"
    assert stored["model_version"] == "toy"
    assert stored["direction"] == "bullish"
    assert all(
        stored[level] is not None for level in ("entry_price", "target_price", "stop_price", "support", "resistance")
    )
    catalogue = {row["name"] for row in rows(db, "SELECT name FROM ml_features")}
    assert set(stored["ml_features"]) == catalogue
    assert len(catalogue) >= 52
    assert stored["ml_features"]["support_distance_pct"] is not None
    text = value(db, "SELECT ml_features ->> 'support_distance_pct' FROM pattern_events WHERE id = %s", stored["id"])
    assert float(text) == stored["ml_features"]["support_distance_pct"]


def test_disabled_is_rules_only(db):
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.disable()")
    stored = insert_event(db)
    for column in ("ml_features", "ml_confidence_raw", "ml_confidence", "prediction_class", "model_version"):
        assert stored[column] is None
    assert stored["blended_confidence"] == RULE
    (logged,) = predictions(db)
    assert (logged["role"], logged["fallback_reason"], logged["arm"]) == ("rule", "disabled", "rule")


def test_a_fresh_installation_is_disabled(db):
    assert value(db, "SELECT enabled FROM ml_settings") is False


def test_missing_champion_is_a_counted_fallback(db):
    add_bars(db)
    db.execute("DELETE FROM ml_aliases")
    db.execute("SELECT ml.enable()")
    stored = insert_event(db)
    assert stored["blended_confidence"] == RULE
    (logged,) = predictions(db)
    assert (logged["role"], logged["fallback_reason"]) == ("champion", "model_missing")


def test_missing_bars_are_a_counted_fallback_and_health_says_so(db):
    go_live(db)
    stored = insert_event(db)
    assert stored["blended_confidence"] == RULE
    (logged,) = predictions(db)
    assert (logged["role"], logged["fallback_reason"]) == ("champion", "bar_missing")
    assert value(db, "SELECT ml_health()")["events_waiting_for_bars"] == 1


def test_stale_bars_count_as_missing(db):
    times = add_bars(db)
    go_live(db)
    insert_event(db, detected_at=times[-1] + timedelta(days=8))
    insert_event(db, detected_at=times[-1] + timedelta(days=9))
    assert [row["fallback_reason"] for row in predictions(db)] == [None, "bar_missing"]


@pytest.mark.parametrize("rule_confidence", [float("nan"), float("inf"), -0.01, 1.01])
def test_invalid_rule_confidence_is_stored_and_left_out(db, rule_confidence):
    add_bars(db)
    go_live(db)
    stored = insert_event(db, rule_confidence=rule_confidence)
    assert stored["rule_confidence"] == pytest.approx(rule_confidence, nan_ok=True)
    assert stored["blended_confidence"] is None
    (logged,) = predictions(db)
    assert logged["fallback_reason"] == "rule_confidence_invalid"
    assert value(db, "SELECT count(*) FROM confirmed_patterns") == 0
    assert value(db, "SELECT ml_health()")["fallback_reasons"] == {"rule_confidence_invalid": 1}


def test_null_rule_confidence_in_an_adopted_table(db):
    add_bars(db)
    go_live(db)
    db.execute("ALTER TABLE pattern_events ALTER rule_confidence DROP NOT NULL")
    stored = insert_event(db, rule_confidence=None)
    assert stored["blended_confidence"] is None
    assert predictions(db)[0]["fallback_reason"] == "rule_confidence_invalid"


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("entry_price", float("nan")),
        ("entry_price", 0.0),
        ("stop_price", float("inf")),
        ("target_price", -1.0),
        ("support", 1e308),
        ("start_at", "-infinity"),
        ("start_at", "infinity"),
        ("direction", "sideways"),
        ("pattern_type", ""),
        ("metadata", None),
    ],
)
def test_odd_inputs_are_scored_with_missing_features(db, column, given):
    add_bars(db)
    go_live(db)
    # psycopg cannot represent infinite times, so not the whole row is returned
    stored = insert_event(db, "model_version", **{column: given})
    assert stored["model_version"] == "toy"
    assert "NaN" not in value(db, "SELECT ml_features::text FROM pattern_events")


@pytest.mark.parametrize("detected_at", ["infinity", "-infinity", "4713-01-01 BC", "294276-12-31"])
def test_odd_times_are_fallbacks(db, detected_at):
    add_bars(db)
    go_live(db)
    stored = insert_event(db, "blended_confidence, model_version", detected_at=detected_at)
    assert stored == {"blended_confidence": RULE, "model_version": None}
    assert predictions(db)[0]["fallback_reason"] == "bar_missing"


BROKEN = {
    "raises": "(1 / 0)::text::float8[]",
    "returns nothing": "NULL::float8[]",
    "returns one value": "ARRAY[0.5]::float8[]",
    "returns NaN": "ARRAY['NaN', 0.5]::float8[]",
    "returns too much": "ARRAY[0.0, 1.5]::float8[]",
    "returns NULL values": "ARRAY[NULL, NULL]::float8[]",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_model_is_a_counted_fallback(db, fault):
    add_bars(db)
    install_model(db, "broken", body=BROKEN[fault])
    db.execute("SELECT ml.promote('broken', %s, 'test', true)", (champion(db),))
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    db.execute("SELECT ml.enable()")
    stored = insert_event(db)
    assert stored["blended_confidence"] == RULE
    assert stored["ml_confidence"] is None
    assert stored["model_version"] is None
    (logged,) = predictions(db)
    assert logged["role"] == "champion"
    assert logged["model_version"] == "broken"
    assert logged["fallback_reason"] == ("error" if fault == "raises" else "score_invalid")
    assert logged["error_sqlstate"] == ("22012" if fault == "raises" else None)


@pytest.mark.parametrize(
    ("fault", "sqlstate"),
    [
        ("DROP FUNCTION ml_generated.score_toy(float8[])", "42883"),
        ("DROP FUNCTION ml.compute_event_features", "42883"),
        ("DROP TABLE ml.bar_indicators CASCADE", "42P01"),
    ],
)
def test_a_broken_installation_is_a_counted_fallback(db, fault, sqlstate):
    add_bars(db)
    go_live(db)
    db.execute("DELETE FROM ml_aliases WHERE alias = 'previous'")
    db.execute(fault)
    stored = insert_event(db)
    assert stored["blended_confidence"] == RULE
    (logged,) = predictions(db)
    assert (logged["fallback_reason"], logged["error_sqlstate"]) == ("error", sqlstate)
    assert value(db, "SELECT ml_health()")["fallback_reasons"] == {"error": 1}


def test_a_revoked_grant_is_a_counted_fallback(db):
    """Only a role without superuser rights can lack one, so the tables and functions are given to one."""
    add_bars(db)
    go_live(db)
    role = f"owner_{value(db, 'SELECT pg_backend_pid()')}"
    db.execute(f"CREATE ROLE {role}")
    try:
        db.execute(f"GRANT USAGE ON SCHEMA ml, ml_generated, public TO {role}")
        db.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public, ml TO {role}")
        db.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ml, ml_generated TO {role}")
        db.execute(f"GRANT CREATE ON SCHEMA ml TO {role}")
        db.execute(f"ALTER FUNCTION ml.score_pattern_event() OWNER TO {role}")
        assert insert_event(db)["model_version"] == "toy"
        db.execute(f"REVOKE ALL ON ml.bar_indicators FROM {role}")
        stored = insert_event(db)
    finally:
        db.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
        db.execute(f"DROP OWNED BY {role}")
        db.execute(f"DROP ROLE {role}")
    assert stored["blended_confidence"] == RULE
    logged = predictions(db, stored["id"])
    assert [(row["fallback_reason"], row["error_sqlstate"]) for row in logged] == [("error", "42501")]


def test_the_exception_block_is_what_saves_the_insert(db):
    """Takes the block out of the trigger's body: the same fault must then fail the INSERT."""
    add_bars(db)
    go_live(db)
    db.execute("DROP FUNCTION ml.compute_event_features")
    assert insert_event(db)["blended_confidence"] == RULE
    definition = value(db, "SELECT pg_get_functiondef('ml.score_pattern_event'::regproc)")
    start, end = definition.index("EXCEPTION WHEN OTHERS"), definition.index("    -- From here on only built-in")
    db.execute(definition[:start] + "END;\n" + definition[end:])
    with pytest.raises(psycopg.errors.UndefinedFunction):
        insert_event(db)


def test_statement_timeout_is_the_users(db):
    add_bars(db)
    install_model(db, "slow", body="(SELECT ARRAY[0.5, 0.5]::float8[] FROM pg_sleep(5))")
    db.execute("UPDATE ml_aliases SET version = 'slow', calibrator_version = NULL")
    if champion(db) is None:
        db.execute("INSERT INTO ml_aliases VALUES ('champion', 'slow')")
    db.execute("SELECT ml.enable()")
    db.execute("SET statement_timeout = '200ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        insert_event(db)


def test_labels_and_status_never_score_again(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    install_model(db, "next", probability=0.1)
    db.execute("SELECT ml.promote('next', 'toy', 'test')")
    db.execute(
        "UPDATE pattern_events SET outcome_label = 'win', outcome_at = now(), realized_pnl = 1, status = 'closed',"
        " used_for_training = true, training_split = 'train', label_source = 'analyst',"
        """ metadata = '{"a": 1}', snapshot_url = 'x'"""
    )
    after = event(db, stored["id"])
    for column in ("ml_confidence", "ml_confidence_raw", "blended_confidence", "model_version", "ml_metadata"):
        assert after[column] == stored[column]
    assert len(predictions(db)) == 1
    assert [(row["old_status"], row["new_status"]) for row in rows(db, "SELECT * FROM pattern_lifecycle_history")] == [
        (None, "closed")
    ]


def test_changed_inputs_score_again_and_unchanged_ones_reuse(db):
    add_bars(db)
    go_live(
        db,
        body="ARRAY[1 - p_features[1] / 100, p_features[1] / 100]",
        features=("rsi_14",),
        card={"golden_rows": [{"features": {"rsi_14": 50.0}, "probabilities": [0.5, 0.5]}]},
    )
    stored = insert_event(db)
    db.execute("UPDATE pattern_events SET symbol = symbol")
    db.execute("UPDATE pattern_events SET detected_at = detected_at - interval '30 days'")
    after = event(db, stored["id"])
    assert after["ml_confidence"] != stored["ml_confidence"]
    assert after["support"] != stored["support"]
    assert [(row["source"], row["cache_hit"]) for row in predictions(db)] == [
        ("insert", False),
        ("update", True),
        ("update", False),
    ]


def test_given_levels_stay_and_derived_ones_follow(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db, support=1.5)
    db.execute("UPDATE pattern_events SET detected_at = detected_at - interval '100 days'")
    after = event(db, stored["id"])
    assert after["support"] == 1.5
    assert after["resistance"] != stored["resistance"]
    db.execute("UPDATE pattern_events SET pattern_type = 'bearish_engulfing'")
    assert event(db, stored["id"])["direction"] == "bearish"


def test_only_the_rule_confidence_changed_blends_again(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    install_model(db, "next", probability=0.1)
    db.execute("SELECT ml.promote('next', 'toy', 'test')")
    db.execute("UPDATE pattern_events SET rule_confidence = 0.5")
    after = event(db, stored["id"])
    assert after["ml_confidence"] == PROBABILITY
    assert after["model_version"] == "toy"
    assert after["blended_confidence"] == pytest.approx(0.6 * PROBABILITY + 0.4 * 0.5)
    assert predictions(db)[-1]["model_version"] == "toy"


def test_rollout_keeps_earlier_members(db):
    add_bars(db)
    go_live(db)
    identifiers = [row["id"] for row in rows(db, "SELECT md5(n::text)::uuid AS id FROM generate_series(1, 400) AS n")]
    members: set[object] = set()
    for percent in (5, 25, 100):
        db.execute("SELECT ml.set_rollout(%s)", (percent,))
        db.execute("DELETE FROM pattern_events")
        with db.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
                " VALUES (%s, 'TEST', '1d', 'hammer', %s, 0.5)",
                [(identifier, START + timedelta(days=290)) for identifier in identifiers],
            )
        scored = {row["id"] for row in rows(db, "SELECT id FROM pattern_events WHERE model_version IS NOT NULL")}
        assert members <= scored
        assert abs(len(scored) / len(identifiers) - percent / 100) < 0.06
        members = scored
    outside = rows(db, "SELECT DISTINCT role, arm FROM ml_predictions WHERE fallback_reason = 'not_in_rollout'")
    assert outside == [{"role": "rule", "arm": "rule"}]


def test_one_model_per_statement(db, db_url):
    """A promote that commits in the middle of a multi-row INSERT must not split the batch."""
    add_bars(db)
    slow = "(SELECT ARRAY[0.2, 0.8]::float8[] FROM pg_sleep(0.02))"
    install_model(db, "slow", body=slow, probability=0.8)
    install_model(db, "next", probability=0.1)
    db.execute("SELECT ml.promote('slow', %s, 'test')", (champion(db),))
    db.execute("SELECT ml.enable()")

    def promote_soon() -> None:
        with psycopg.connect(db_url, autocommit=True) as other:
            time.sleep(0.2)
            other.execute("SELECT ml.promote('next', 'slow', 'in the middle')")

    thread = threading.Thread(target=promote_soon)
    thread.start()
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT 'TEST', '1d', 'hammer', %s, 0.5 FROM generate_series(1, 40)",
        (START + timedelta(days=290),),
    )
    thread.join()
    assert champion(db) == "next"
    assert rows(db, "SELECT model_version, count(*) FROM pattern_events GROUP BY 1") == [
        {"model_version": "slow", "count": 40}
    ]


def test_functions_on_the_path_that_read_tables_are_stable(db):
    volatile = rows(
        db,
        """
        SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
        WHERE p.pronamespace = 'ml'::regnamespace AND p.provolatile = 'v' AND p.proname = ANY (%s)
        """,
        [
            "score_pattern_event",
            "compute_event_features",
            "score_features",
            "finish_score",
            "calibrate",
            "blend_confidence",
            "rollout_bucket",
            "feature_array",
            "derived_columns",
            "brings_own_score",
        ],
    )
    assert volatile == []


def test_session_settings_change_nothing(db):
    add_bars(db)
    go_live(
        db,
        body="ARRAY[1 - p_features[1] / 100, p_features[1] / 100]",
        features=("rsi_14",),
        card={"golden_rows": [{"features": {"rsi_14": 50.0}, "probabilities": [0.5, 0.5]}]},
    )
    expected = insert_event(db)
    for setting in (
        "TimeZone = 'America/New_York'",
        "DateStyle = 'German, DMY'",
        "extra_float_digits = -15",
        "search_path = pg_temp",
        "jit = on",
        "IntervalStyle = 'iso_8601'",
        "bytea_output = 'escape'",
    ):
        with psycopg.connect(**db.info.get_parameters(), autocommit=True) as other:
            other.execute(f"SET {setting}")
            other.execute(
                "INSERT INTO public.pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
                " VALUES ('TEST', '1d', 'bullish_engulfing', %s, 0.72)",
                (expected["detected_at"],),
            )
    stored = rows(db, "SELECT * FROM pattern_events")
    assert len(stored) == 8
    for column in ("ml_features", "ml_confidence", "blended_confidence", "support", "model_version"):
        assert all(row[column] == expected[column] for row in stored)
    assert len(predictions(db)) == 8
    assert len({row["feature_hash"] for row in predictions(db)}) == 1


def test_the_users_metadata_stays(db):
    add_bars(db)
    go_live(db)
    from psycopg.types.json import Jsonb

    stored = insert_event(db, ml_metadata=Jsonb({"mine": 1}), metadata=Jsonb({"source": "x"}))
    assert stored["ml_metadata"]["mine"] == 1
    assert stored["metadata"] == {"source": "x"}
    assert insert_event(db, ml_metadata=Jsonb([1, 2]))["ml_metadata"]["value"] == [1, 2]


def test_a_restored_row_keeps_its_score_and_is_not_logged_twice(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    db.execute("CREATE TABLE kept AS SELECT * FROM pattern_events")
    db.execute("DELETE FROM pattern_events")
    install_model(db, "next", probability=0.1)
    db.execute("SELECT ml.promote('next', 'toy', 'test')")
    db.execute("INSERT INTO pattern_events SELECT * FROM kept")
    assert event(db, stored["id"]) == stored
    assert len(predictions(db)) == 1


def test_a_copied_row_under_a_new_id_is_scored_anew(db):
    add_bars(db)
    go_live(db)
    insert_event(db)
    db.execute("CREATE TABLE kept AS SELECT * FROM pattern_events")
    db.execute("UPDATE kept SET id = gen_random_uuid()")
    db.execute("INSERT INTO pattern_events SELECT * FROM kept")
    assert len(predictions(db)) == 2


def test_upsert_and_copy(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    db.execute(
        "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " VALUES (%s, 'TEST', '1d', 'hammer', %s, 0.5)"
        " ON CONFLICT (id) DO UPDATE SET rule_confidence = excluded.rule_confidence",
        (stored["id"], stored["detected_at"]),
    )
    after = event(db, stored["id"])
    assert after["blended_confidence"] == pytest.approx(0.6 * PROBABILITY + 0.4 * 0.5)
    assert [row["source"] for row in predictions(db)] == ["insert", "update"]
    with (
        db.cursor() as cursor,
        cursor.copy(
            "COPY pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence) FROM STDIN"
        ) as copy,
    ):
        for _ in range(3):
            copy.write_row(("TEST", "1d", "hammer", stored["detected_at"], 0.5))
    assert value(db, "SELECT count(*) FROM pattern_events WHERE model_version = 'toy'") == 4
    assert len(predictions(db)) == 5


def test_an_update_that_changes_no_input_keeps_the_score(db):
    """What an ORM writes back, after a promote, while disabled, and after the bars have gone."""
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    score = ("ml_confidence", "ml_confidence_raw", "blended_confidence", "model_version", "ml_features", "direction")
    save = "UPDATE pattern_events SET symbol = symbol, rule_confidence = rule_confidence, outcome_label = 'win'"
    install_model(db, "next", probability=0.1)
    db.execute("SELECT ml.promote('next', 'toy', 'test')")
    for change in ("SELECT 1", "SELECT ml.disable()", "DELETE FROM price_bars"):
        db.execute(change)
        db.execute(save)
        after = event(db, stored["id"])
        assert [after[column] for column in score] == [stored[column] for column in score], change
    db.execute("UPDATE pattern_events SET rule_confidence = 0.5")
    assert event(db, stored["id"])["blended_confidence"] == pytest.approx(0.6 * PROBABILITY + 0.4 * 0.5)
    assert [(row["source"], row["cache_hit"]) for row in predictions(db)][1:] == [("update", True)] * 4


def test_an_upsert_that_carries_metadata_is_scored_by_its_inputs(db):
    from psycopg.types.json import Jsonb

    add_bars(db)
    add_bars(db, "OTHER", seed=2)
    go_live(
        db,
        body="ARRAY[1 - p_features[1] / 100, p_features[1] / 100]",
        features=("rsi_14",),
        card={"golden_rows": [{"features": {"rsi_14": 50.0}, "probabilities": [0.5, 0.5]}]},
    )
    stored = insert_event(db, ml_metadata=Jsonb({"bot": 1}))
    expected = insert_event(db, symbol="OTHER", pattern_type="hanging_man", rule_confidence=0.1)
    db.execute(
        "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence, ml_metadata)"
        " VALUES (%s, 'OTHER', '1d', 'hanging_man', %s, 0.1, '{\"bot\": 2}')"
        " ON CONFLICT (id) DO UPDATE SET symbol = excluded.symbol, pattern_type = excluded.pattern_type,"
        " detected_at = excluded.detected_at, rule_confidence = excluded.rule_confidence,"
        " ml_metadata = excluded.ml_metadata",
        (stored["id"], stored["detected_at"]),
    )
    after = event(db, stored["id"])
    for column in ("direction", "ml_confidence", "blended_confidence", "ml_features", "stop_price"):
        assert after[column] == expected[column], column
    assert after["ml_metadata"]["bot"] == 2


def test_nobody_but_the_owner_brings_a_score(db, db_url):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    db.execute("CREATE TABLE kept AS SELECT * FROM pattern_events")
    db.execute("UPDATE kept SET ml_confidence = 0.99, blended_confidence = 0.99")
    db.execute("DELETE FROM pattern_events")
    role = f"app_{value(db, 'SELECT pg_backend_pid()')}"
    db.execute(f"CREATE ROLE {role}")
    try:
        db.execute(f"GRANT ALL ON pattern_events, kept TO {role}")
        with psycopg.connect(db_url, autocommit=True) as session:
            session.execute(f"SET ROLE {role}")
            session.execute("INSERT INTO pattern_events SELECT * FROM kept")
            assert event(db, stored["id"])["ml_confidence"] == PROBABILITY
            session.execute(
                "UPDATE pattern_events AS e SET symbol = e.symbol, ml_confidence = 0.99, blended_confidence = 0.99,"
                " ml_metadata = jsonb_set(e.ml_metadata, '{scoring,prediction_id}', to_jsonb(gen_random_uuid()))"
            )
    finally:
        db.execute(f"DROP OWNED BY {role}")
        db.execute(f"DROP ROLE {role}")
    assert value(db, "SELECT count(*) FROM ml_predictions WHERE ml_confidence = 0.99 AND source = 'insert'") == 0


def test_the_user_does_not_wait_for_a_locked_table_of_ours(db, db_url):
    add_bars(db)
    go_live(db)
    insert_event(db)
    for table in ("ml_settings", "ml_models", "ml_aliases", "ml_timeframes", "ml.bar_indicators", "ml.pattern_types"):
        with psycopg.connect(db_url) as other:
            other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            started = time.monotonic()
            stored = insert_event(db)
            assert time.monotonic() - started < 2
            assert stored["blended_confidence"] == RULE
            assert stored["ml_metadata"]["scoring"]["error_sqlstate"] == "55P03"
            other.rollback()


def test_nothing_that_can_break_lies_outside_the_block(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    for function in (
        "derived_columns(ml.event_inputs, ml.event_inputs, text[])",
        "brings_own_score(boolean)",
        "blend_confidence(float8, float8, float8, float8)",
        "feature_array(ml.feature_vector)",
    ):
        name = function.partition("(")[0]
        db.execute(f"ALTER FUNCTION ml.{function} RENAME TO renamed")
        assert insert_event(db)["rule_confidence"] == RULE
        db.execute("UPDATE pattern_events SET symbol = symbol WHERE id = %s", (stored["id"],))
        db.execute(f"ALTER FUNCTION ml.renamed RENAME TO {name}")


def test_an_error_does_not_cost_a_stored_score(db, db_url):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    with psycopg.connect(db_url) as other:
        other.execute("LOCK TABLE ml_settings IN ACCESS EXCLUSIVE MODE")
        db.execute("UPDATE pattern_events SET rule_confidence = 0.5")
        other.rollback()
    after = event(db, stored["id"])
    assert (after["ml_confidence"], after["model_version"]) == (PROBABILITY, "toy")
    assert after["ml_metadata"]["scoring"]["error_sqlstate"] == "55P03"
    db.execute("ALTER FUNCTION ml.blend_confidence RENAME TO renamed")
    db.execute("UPDATE pattern_events SET rule_confidence = 0.6")
    assert event(db, stored["id"])["ml_confidence"] == PROBABILITY


def test_a_statement_waits_once_however_many_rows_it_has(db, db_url):
    add_bars(db)
    go_live(db)
    insert_event(db)
    with psycopg.connect(db_url) as other:
        other.execute("LOCK TABLE ml_settings IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        db.execute(
            "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
            " SELECT 'TEST', '1d', 'hammer', %s, 0.5 FROM generate_series(1, 200)",
            (START + timedelta(days=290),),
        )
        assert time.monotonic() - started < 3
        other.rollback()
    assert value(db, "SELECT count(*) FROM ml_predictions WHERE error_sqlstate = '55P03'") == 200
    assert insert_event(db)["model_version"] == "toy"


def test_an_update_that_names_an_input_cannot_bring_results(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    db.execute("UPDATE pattern_events SET ml_confidence = 0.98, blended_confidence = 0.98, symbol = symbol")
    after = event(db, stored["id"])
    assert (after["ml_confidence"], after["blended_confidence"]) == (PROBABILITY, stored["blended_confidence"])
