"""Who may do what: the four roles, everybody else, and the ways around them."""

import threading
import uuid
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from alembic import command
from psycopg.types.json import Jsonb
from support import RULE, START, add_bars, event, go_live, insert_event, one, predictions, rows, value

from trainer.migrations import alembic_config
from trainer.server import ThrowawayServer

ROLES = ("ml_writer", "ml_analyst", "ml_ops", "ml_dashboard")

LABELS = {
    "outcome_label", "outcome_at", "realized_pnl", "max_drawdown", "label_source", "data_quality_score",
    "used_for_training", "training_split",
}  # fmt: skip
RESULTS = {
    "ml_features", "ml_confidence_raw", "ml_confidence", "blended_confidence", "prediction_class", "model_version",
    "ml_metadata",
}  # fmt: skip
INPUTS = {
    "id", "symbol", "timeframe", "pattern_type", "direction", "detected_at", "start_at", "entry_price", "target_price",
    "stop_price", "support", "resistance", "rule_confidence", "status", "metadata", "snapshot_url",
}  # fmt: skip

# What each role may do with tables beyond reading; a set of columns stands for rights on these alone.
WRITES = {
    "ml_writer": {
        "pattern_events": {"INSERT": INPUTS, "UPDATE": INPUTS - {"id"}},
        "price_bars": {"INSERT": None, "UPDATE": None},
    },
    "ml_analyst": {},
    "ml_ops": {
        "ml_settings": {"INSERT": {"singleton"}, "UPDATE": {"but": "singleton"}},
        "ml_gates": {"UPDATE": {"threshold", "blocking"}},
        "ml_timeframes": {"UPDATE": {"max_bar_age"}},
        "ml_alert_rules": {"INSERT": None, "UPDATE": None, "DELETE": None},
        "ml_alerts": {"DELETE": None},
        "ml_notifications": {"UPDATE": {"attempts", "next_attempt_at", "delivered_at", "abandoned_at", "last_error"}},
    },
    "ml_dashboard": {},
}
READS = {
    "ml_writer": {
        "pattern_events": None, "price_bars": None, "confirmed_patterns": None, "ml_timeframes": None,
        "ml.pattern_types": None, "ml.narrative_phrases": None, "ml_settings": {"confidence_threshold"},
    },
    "ml_dashboard": {
        "ml_log": None, "ml_deployment_audit": None, "ml_challenger_pairs": None, "ml_challenger_comparison": None,
        "ml_rules_comparison": None, "ml_deployments": None, "ml_log_drops": None, "ml_settings": None,
        "ml_alert_rules": None, "ml_alert_transitions": None,
        "ml_predictions": None,
        "pattern_events": {"id", "symbol", "timeframe", "pattern_type", "detected_at", "outcome_label"},
    },
}  # fmt: skip

# Functions that write, or that run with the rights of their owner.
CALLS = {
    "ml_writer": {"ml_health", "log_ml_prediction", "ml.ingest_pattern"},
    "ml_analyst": {
        "ml_health", "ml_metrics", "ml_alerts", "ml.set_label", "ml.withdraw_label", "ml.override_confidence",
        "ml.withdraw_override", "ml.tune_blend_weights", "ml.check_stage",
    },
    "ml_ops": {
        "ml_health", "ml_metrics", "ml_alerts", "ml_set_baseline", "ml.tune_blend_weights", "ml.check_stage",
        "ml.enable", "ml.disable", "ml.set_rollout", "ml.set_weights", "ml.accept_threshold", "ml.close_breaker",
        "ml.check_promotion", "ml.promote", "ml.rollback", "ml.set_challenger", "ml.withdraw_challenger", "ml.advance",
        "ml.recalibrate", "ml.backfill", "ml.rescore", "ml.refresh_bar_indicators", "ml.create_prediction_partitions",
        "ml.tick", "ml.nightly", "ml.apply_retention", "ml.run_drift", "ml.run_performance", "ml.evaluate_alerts",
        "ml.silence_alert",
    },
    "ml_dashboard": {"ml_health", "ml_metrics", "ml_alerts"},
}  # fmt: skip
# Functions that write nothing and run with the caller's rights.
HARMLESS = {
    "ml_writer": {"ml.parse_pattern", "ml.narrative_tokens", "ml.narrative_words"},
    "ml_analyst": {"ml_pattern_confidence"},
    "ml_ops": {"ml_pattern_confidence"},
    "ml_dashboard": set(),
}
# Parts of the scoring path and helpers of compiled models, which are inlined into what calls them.
EVERYBODYS = {
    "ml.acting_role", "ml.blend_confidence", "ml.calibrate", "ml.check_features", "ml.check_ranges",
    "ml.derived_columns", "ml.expit", "ml.exponential", "ml.exponential_single", "ml.finish_score", "ml.interpolate",
    "ml.interpolate_single", "ml.mean_of_rows", "ml.normalized", "ml.pairwise_sum", "ml.product", "ml.rollout_bucket",
    "ml.score_features", "ml.sigmoid_single", "ml.softmax", "ml.softmax_single",
}  # fmt: skip

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
RELATIONS = """
    SELECT c.oid, replace(c.oid::regclass::text, 'public.', '') AS name, c.relispartition AS is_partition,
        c.relkind = 'v' AS is_view, array(
            SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) AS columns
    FROM pg_class AS c
    WHERE c.relnamespace IN ('public'::regnamespace, 'ml'::regnamespace, 'ml_generated'::regnamespace)
        AND c.relkind IN ('r', 'p', 'v', 'm')
"""
FUNCTIONS = """
    SELECT p.oid, p.pronamespace::regnamespace::text AS schema,
        CASE p.pronamespace::regnamespace::text WHEN 'public' THEN '' ELSE p.pronamespace::regnamespace::text || '.' END
            || p.proname AS name,
        p.provolatile <> 'v' AND NOT p.prosecdef AND p.prorettype <> 'trigger'::regtype AS is_harmless
    FROM pg_proc AS p
    WHERE p.pronamespace IN ('public'::regnamespace, 'ml'::regnamespace, 'ml_generated'::regnamespace)
"""


@pytest.fixture
def stranger(db):
    """Return the name of a role that nobody has given anything."""
    name = f"stranger_{value(db, 'SELECT pg_backend_pid()')}"
    db.execute(f"CREATE ROLE {name}")
    yield name
    db.execute("RESET ROLE")
    db.execute(f"DROP OWNED BY {name}")
    db.execute(f"DROP ROLE {name}")


@contextmanager
def acting_as(db, role):
    """Take on a role for a block."""
    db.execute(f"SET ROLE {role}")
    try:
        yield
    finally:
        db.execute("RESET ROLE")


def expected_columns(relation, rule):
    """Return the columns that a rule allows: None is all of them."""
    if rule is None:
        return set(relation["columns"])
    if isinstance(rule, dict):
        return set(relation["columns"]) - set(rule["but"].split(", "))
    return set(rule)


def held_columns(db, role, relation, verb):
    """Return the columns on which a role has a right, by whatever way."""
    return set(
        value(
            db,
            "SELECT array(SELECT column_name FROM unnest(%s::text[]) AS column_name"
            " WHERE has_column_privilege(%s, %s::oid, column_name, %s))",
            relation["columns"], role, relation["oid"], verb,
        )
    )  # fmt: skip


@pytest.mark.parametrize("role", [*ROLES, "stranger"])
def test_rights_on_tables_are_exactly_these(db, stranger, role):
    grantee = stranger if role == "stranger" else role
    for relation in rows(db, RELATIONS):
        name = relation["name"]
        allowed = {}
        if role in ("ml_analyst", "ml_ops") or (
            role == "ml_dashboard" and relation["is_view"] and name.startswith("ml.v_ml_")
        ):
            allowed["SELECT"] = None
        elif name in READS.get(role, {}):
            allowed["SELECT"] = READS[role][name]
        allowed |= WRITES.get(role, {}).get(name, {})
        if relation["is_partition"]:
            allowed = {}
        for verb in VERBS:
            if verb in ("DELETE", "TRUNCATE", "TRIGGER"):
                held = value(db, "SELECT has_table_privilege(%s, %s::oid, %s)", grantee, relation["oid"], verb)
                assert held is (verb in allowed), (role, name, verb)
            else:
                expected = expected_columns(relation, allowed[verb]) if verb in allowed else set()
                assert held_columns(db, grantee, relation, verb) == expected, (role, name, verb)


@pytest.mark.parametrize("role", [*ROLES, "stranger"])
def test_rights_on_functions_are_exactly_these(db, stranger, role):
    grantee = stranger if role == "stranger" else role
    in_panels = {
        row["oid"]
        for row in rows(
            db,
            "SELECT DISTINCT d.refobjid AS oid FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid"
            " JOIN pg_class AS c ON c.oid = r.ev_class WHERE d.refclassid = 'pg_proc'::regclass"
            " AND c.relnamespace = 'ml'::regnamespace",
        )
    }
    schemas = {"ml_analyst": ("ml", "ml_generated"), "ml_ops": ("ml", "ml_generated"), "ml_dashboard": ("ml",)}
    for function in rows(db, FUNCTIONS):
        name = function["name"]
        allowed = name in EVERYBODYS
        if role in ROLES:
            allowed |= name in CALLS[role] | HARMLESS[role]
            allowed |= function["is_harmless"] and function["schema"] in schemas.get(role, ())
            allowed |= role != "ml_writer" and function["oid"] in in_panels
        held = value(db, "SELECT has_function_privilege(%s, %s::oid, 'EXECUTE')", grantee, function["oid"])
        assert held is allowed, (role, name)


def test_rights_on_schemas_are_exactly_these(db, stranger):
    held = {
        (role, schema)
        for role in (*ROLES, stranger)
        for schema in ("ml", "ml_generated")
        for verb in ("USAGE", "CREATE")
        if value(db, "SELECT has_schema_privilege(%s, %s, %s)", role, schema, verb)
    }
    assert held == {
        ("ml_writer", "ml"), ("ml_analyst", "ml"), ("ml_analyst", "ml_generated"), ("ml_ops", "ml"),
        ("ml_ops", "ml_generated"), ("ml_dashboard", "ml"),
    }  # fmt: skip
    assert not value(
        db, "SELECT bool_or(rolcanlogin OR rolsuper OR rolcreaterole) FROM pg_roles WHERE rolname ~ '^ml_'"
    )


def test_every_object_is_governed(db):
    """A new table or endpoint in public has to be named in ml.governed_objects, or nobody gets rights on it."""
    missing = rows(
        db,
        f"SELECT r.name FROM ({RELATIONS}) AS r WHERE NOT EXISTS"
        " (SELECT FROM ml.governed_objects AS g WHERE g.object = r.oid)"
        f" UNION ALL SELECT f.name FROM ({FUNCTIONS}) AS f WHERE NOT EXISTS"
        " (SELECT FROM ml.governed_objects AS g WHERE g.object = f.oid)",
    )
    assert missing == []


def test_rules_name_what_exists(db):
    """A name that is misspelt in a rule would grant nothing."""
    functions = {row["name"] for row in rows(db, FUNCTIONS)}
    relations = {row["name"] for row in rows(db, RELATIONS)}
    assert set().union(*CALLS.values(), *HARMLESS.values(), EVERYBODYS) <= functions
    named = {name for rule in (*READS.values(), *WRITES.values()) for name in rule}
    assert named <= relations


def test_a_writer_does_its_work(db):
    go_live(db)
    with acting_as(db, "ml_writer"):
        times = add_bars(db)
        db.execute("UPDATE price_bars SET volume = volume + 1 WHERE ts = %s", (times[0],))
        stored = insert_event(db, metadata=Jsonb({"desk": "a"}))
        assert (stored["model_version"], stored["blended_confidence"]) == ("toy", pytest.approx(0.798))
        db.execute("UPDATE pattern_events SET rule_confidence = 0.5, status = 'closed' WHERE id = %s", (stored["id"],))
        with (
            db.cursor() as cursor,
            cursor.copy(
                "COPY pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence) FROM STDIN"
            ) as copy,
        ):
            copy.write_row(("TEST", "1d", "hammer", times[200], 0.7))
        db.execute(
            "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
            " VALUES (%s, 'TEST', '1d', 'hammer', %s, 0.6)"
            " ON CONFLICT (id) DO UPDATE SET rule_confidence = excluded.rule_confidence",
            (stored["id"], times[290]),
        )
        ingested = value(db, "SELECT ml.ingest_pattern('bullish hammer', 'TEST', '1d', %s, 0.6)", times[250])
        assert ingested["event_id"] is not None
        assert value(db, "SELECT count(*) FROM confirmed_patterns") == 3
        assert value(db, "SELECT ml_health() ->> 'status'") == "healthy"
        assert value(db, "SELECT log_ml_prediction(%s, 'elsewhere', 0.5, 0.6)", stored["id"])
    assert event(db, stored["id"])["rule_confidence"] == 0.6
    assert {row["model_version"] for row in rows(db, "SELECT model_version FROM pattern_events")} == {"toy"}


@pytest.mark.parametrize("column", sorted(LABELS | RESULTS))
def test_a_writer_cannot_set_labels_or_results(db, column):
    add_bars(db)
    go_live(db)
    stored = insert_event(db)
    given = {
        "ml_features": Jsonb({}), "ml_metadata": Jsonb({"scoring": {"event_id": str(stored["id"])}}),
        "outcome_label": "win", "outcome_at": START, "label_source": "me", "used_for_training": True,
        "training_split": "train", "prediction_class": "win", "model_version": "toy",
    }.get(column, 0.99)  # fmt: skip
    with acting_as(db, "ml_writer"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            insert_event(db, **{column: given})
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(f"UPDATE pattern_events SET {column} = %s".encode(), (given,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(
                "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
                " VALUES (%s, 'TEST', '1d', 'hammer', now(), 0.6)"
                f" ON CONFLICT (id) DO UPDATE SET {column} = NULL".encode(),
                (stored["id"],),
            )
    assert event(db, stored["id"]) == stored


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pattern_events SET id = gen_random_uuid()",
        "DELETE FROM pattern_events",
        "TRUNCATE pattern_events",
        "DELETE FROM price_bars",
        "SELECT * FROM ml_predictions",
        "SELECT enabled FROM ml_settings",
        "UPDATE ml_settings SET enabled = true",
        "INSERT INTO ml_predictions (event_id, source, role) VALUES (gen_random_uuid(), 'insert', 'champion')",
        "INSERT INTO ml.trusted_transactions VALUES (pg_current_xact_id())",
        "SELECT ml.enable()",
        "SELECT ml.promote('v0001', 'v0002', 'me')",
        "SELECT ml.set_label(gen_random_uuid(), 'win', 'me')",
        "SELECT ml.grant_access()",
        "ALTER TABLE pattern_events DISABLE TRIGGER pattern_events_10_score",
        "SET session_replication_role = replica",
        "CREATE FUNCTION ml.calibrate(text) RETURNS text LANGUAGE sql RETURN 'x'",
        "CREATE TRIGGER mine BEFORE INSERT ON pattern_events FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ],
)
def test_a_writer_cannot(db, statement):
    insert_event(db)
    with acting_as(db, "ml_writer"), pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(statement.encode())


def test_analysts_label_and_explain(db):
    times = add_bars(db)
    go_live(db)
    stored = insert_event(db, detected_at=times[200])
    logged = predictions(db)[0]
    with acting_as(db, "ml_analyst"):
        db.execute("SELECT ml.set_label(%s, 'win', 'a clean breakout')", (stored["id"],))
        db.execute("SELECT ml.withdraw_label(%s, 'it was not')", (stored["id"],))
        db.execute("SELECT ml.override_confidence(%s, 0.9, 'earnings')", (stored["id"],))
        assert value(db, "SELECT ml_pattern_confidence(%s)", stored["id"])["override"]["confidence"] == 0.9
        assert value(db, "SELECT count(*) FROM overridden_patterns") == 1
        assert value(db, "SELECT ml.replay(%s)", logged["id"])["equal"] is True
        db.execute("SELECT * FROM ml.label_window(%s)", (stored["id"],))
        db.execute("SELECT * FROM ml.training_dataset()")
        db.execute("SELECT * FROM ml.check_model('v0002')")
        for statement in ("UPDATE pattern_events SET outcome_label = 'loss'", "SELECT ml.disable()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement.encode())


def test_models_deployed_later_can_be_explained(db):
    go_live(db, "later")
    db.execute("REVOKE ALL ON FUNCTION ml_generated.score_later(float8[]) FROM PUBLIC")  # as compiled ones are
    for role, expected in (("ml_analyst", True), ("ml_ops", True), ("ml_writer", False), ("ml_dashboard", False)):
        held = value(db, "SELECT has_function_privilege(%s, 'ml_generated.score_later(float8[])', 'EXECUTE')", role)
        assert held is expected, role


def test_operators_operate(db):
    add_bars(db)
    go_live(db)
    go_live(db, "second", probability=0.7)
    with acting_as(db, "ml_ops"):
        db.execute("SELECT ml.rollback('worse')")
        db.execute("SELECT ml.disable('drill')")
        db.execute("SELECT ml.enable('drill over')")
        db.execute("SELECT ml.set_rollout(50, 'careful')")
        db.execute("UPDATE ml_settings SET latency_alert_ms = 90, rollout_percent = 100")
        db.execute("UPDATE ml_gates SET threshold = threshold WHERE gate = 'labels'")
        db.execute("SELECT ml.set_challenger('second', 'try again')")
        db.execute("SELECT * FROM ml.check_stage()")
        db.execute("SELECT ml.withdraw_challenger('no')")
        db.execute("SELECT ml.backfill(10)")
        db.execute("SELECT ml.create_prediction_partitions()")
        assert value(db, "SELECT ml.tick()")["failed"] == []
        assert value(db, "SELECT ml.nightly()")["failed"] == []
        assert value(db, "SELECT ml.apply_retention(now() + interval '1 second')")["status"] == "done"
        db.execute("SELECT ml.run_drift()")
        db.execute("SELECT ml.run_performance()")
        db.execute("UPDATE ml_alert_rules SET threshold = 1 WHERE rule = 'breaker_open'")
        db.execute("SELECT ml.silence_alert('breaker_open', now() + interval '1 hour', 'known')")
        for statement in (
            "DELETE FROM ml_deployments", "UPDATE ml_aliases SET version = 'second'", "DELETE FROM ml_settings",
            "UPDATE pattern_events SET ml_confidence = 1", "SELECT ml.set_label(gen_random_uuid(), 'win', 'me')",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement.encode())
    actors = {
        row["actor"] for row in rows(db, "SELECT actor FROM ml_deployments WHERE action IN ('disable', 'rollback')")
    }
    assert actors == {"ml_ops"}


def test_operators_start_alerts_anew(db):
    with acting_as(db, "ml_ops"):
        assert value(db, "SELECT ml.evaluate_alerts('2026-03-02 10:00+00') ->> 'status'") == "done"
        assert db.execute("DELETE FROM ml_alerts").rowcount > 10
        assert value(db, "SELECT ml.evaluate_alerts('2026-03-02 09:00+00') ->> 'status'") == "done"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("UPDATE ml_alerts SET state = 'normal'")


def test_operators_restore_lost_settings(db):
    db.execute("DELETE FROM ml_settings")
    with acting_as(db, "ml_ops"):
        db.execute("INSERT INTO ml_settings DEFAULT VALUES")
    assert value(db, "SELECT enabled FROM ml_settings") is False


def test_a_dashboard_reads_all_its_views(db):
    add_bars(db)
    go_live(db)
    insert_event(db)
    views = [
        relation["name"]
        for relation in rows(db, RELATIONS)
        if relation["is_view"]
        and (relation["name"].startswith("ml.v_ml_") or relation["name"] in READS["ml_dashboard"])
    ]
    assert {"ml_deployment_audit", "ml_rules_comparison"} <= set(views)
    with db.transaction():
        db.execute("SET TRANSACTION READ ONLY")
        db.execute("SET LOCAL ROLE ml_dashboard")
        for view in views:
            db.execute(f"SELECT * FROM {view}".encode())
        for function in CALLS["ml_dashboard"]:
            assert isinstance(value(db, f"SELECT {function}()"), dict)
    with acting_as(db, "ml_dashboard"):
        for statement in (
            "SELECT ml_features FROM pattern_events", "SELECT entry_price FROM pattern_events",
            "SELECT * FROM price_bars", "SELECT ml.disable()", "SELECT ml_set_baseline()",
        ):  # fmt: skip
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction)):
                db.execute(statement.encode())


def test_a_member_gets_the_rights_of_the_role(db, stranger):
    db.execute(f"GRANT ml_dashboard TO {stranger}")
    with acting_as(db, stranger):
        assert value(db, "SELECT ml_health() ->> 'status'") == "healthy"


def test_giving_rights_again_changes_nothing(db):
    before = rows(db, "SELECT * FROM ml.held_rights ORDER BY role, identity, privilege, attribute")
    assert value(db, "SELECT ml.grant_access()") == {
        "created": [], "missing": [], "granted": 0, "revoked": 0, "closed": [],
    }  # fmt: skip
    assert rows(db, "SELECT * FROM ml.held_rights ORDER BY role, identity, privilege, attribute") == before


def test_rights_beyond_the_list_are_taken_back_and_lost_ones_given_again(db, stranger):
    before = rows(db, "SELECT * FROM ml.held_rights ORDER BY role, identity, privilege, attribute")
    db.execute("CREATE TABLE ml_notes (note text)")
    db.execute("GRANT SELECT ON ml_notes TO ml_dashboard")
    db.execute("GRANT SELECT (entry_price) ON pattern_events TO ml_dashboard")
    db.execute("GRANT UPDATE ON pattern_events TO ml_writer")
    db.execute("GRANT EXECUTE ON FUNCTION ml.disable TO ml_analyst WITH GRANT OPTION")
    db.execute("REVOKE SELECT ON ml_predictions FROM ml_ops")
    db.execute(f"GRANT SELECT ON price_bars TO {stranger}")
    report = value(db, "SELECT ml.grant_access()")
    assert report["revoked"] == 3
    after = rows(
        db,
        "SELECT * FROM ml.held_rights WHERE role <> %s ORDER BY role, identity, privilege, attribute",
        stranger,
    )
    assert after == before
    # A table of the user's own, and a role of the user's own.
    assert value(db, "SELECT has_table_privilege('ml_dashboard', 'ml_notes', 'SELECT')")
    assert value(db, "SELECT has_table_privilege(%s, 'price_bars', 'SELECT')", stranger)


def test_a_users_own_column_can_be_written(db):
    db.execute('ALTER TABLE pattern_events ADD COLUMN "Desk, or book" text')
    db.execute("SELECT ml.grant_access()")
    with acting_as(db, "ml_writer"):
        assert insert_event(db, **{"Desk, or book": "FX"})["Desk, or book"] == "FX"


def test_only_the_owner_gives_rights(db, stranger):
    db.execute(f"GRANT USAGE ON SCHEMA ml TO {stranger}; GRANT EXECUTE ON FUNCTION ml.grant_access TO {stranger}")
    with (
        acting_as(db, stranger),
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="by the owner of schema ml"),
    ):
        db.execute("SELECT ml.grant_access()")


def test_objects_in_public_capture_nothing(db):
    """Whoever may create in public makes functions, operators and tables that look like those our code calls."""
    add_bars(db)
    go_live(db)
    expected = insert_event(db)
    db.execute("CREATE TABLE captured (by_whom text); GRANT INSERT ON captured TO PUBLIC")
    db.execute("GRANT CREATE ON SCHEMA public TO ml_writer")
    trap = "BEGIN INSERT INTO public.captured VALUES (current_user); RETURN NULL; END"
    with acting_as(db, "ml_writer"):
        for name, arguments, returns in (
            ("format", "text, VARIADIC text[]", "text"), ("format", "text", "text"), ("coalesce_text", "text", "text"),
            ("to_jsonb", "ml.feature_vector", "jsonb"), ("jsonb_build_object", "VARIADIC text[]", "jsonb"),
            ("encode", "bytea, text", "text"), ("set_config", "text, text, boolean", "text"),
            ("pg_has_role", "text, oid, text", "boolean"), ("round", "numeric, integer", "numeric"),
            ("count", "bigint", "bigint"), ("statement_timestamp", "", "timestamptz"),
        ):  # fmt: skip
            db.execute(
                f"CREATE FUNCTION public.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS $${trap}$$".encode()
            )
        for operator, left, right, returns in (
            ("=", "text", "text", "boolean"), ("+", "float8", "float8", "float8"), ("->>", "jsonb", "text", "text"),
            ("||", "jsonb", "jsonb", "jsonb"), (">=", "timestamptz", "timestamptz", "boolean"),
            ("*", "float8", "float8", "float8"), ("<", "float8", "float8", "boolean"),
        ):  # fmt: skip
            function = f"trap_{uuid.uuid4().hex}"
            db.execute(
                f"CREATE FUNCTION public.{function}({left}, {right}) RETURNS {returns}"
                f" LANGUAGE plpgsql AS $${trap}$$".encode()
            )
            db.execute(
                f"CREATE OPERATOR public.{operator} (FUNCTION = public.{function}, LEFTARG = {left}, RIGHTARG = {right})".encode()
            )
        db.execute("CREATE TEMP TABLE ml_settings AS SELECT true AS enabled, 1.0::float8 AS ml_weight")
        db.execute("CREATE TEMP TABLE pg_class AS SELECT 1 AS oid")
        db.execute("SET search_path = public, pg_catalog")
        try:
            stored = insert_event(db)
            health = value(db, "SELECT public.ml_health('1 hour'::interval)")
            db.execute("SELECT public.log_ml_prediction(%s, 'elsewhere', 0.5, 0.6)", (stored["id"],))
        finally:
            db.execute("RESET search_path; DROP TABLE pg_temp.ml_settings, pg_temp.pg_class")
    assert rows(db, "SELECT * FROM captured WHERE by_whom <> 'ml_writer'") == []
    for column in ("ml_confidence", "blended_confidence", "ml_features", "model_version"):
        assert stored[column] == expected[column]
    assert health["ml_enabled"] is True
    assert health["predictions"] == 2


def test_every_definer_function_pins_the_search_path(db):
    loose = rows(
        db,
        "SELECT p.oid::regprocedure::text FROM pg_proc AS p JOIN ml.governed_objects AS g ON g.object = p.oid"
        " WHERE p.prosecdef AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))",
    )
    assert loose == []


def test_row_level_security_holds_after_a_change_of_role_in_one_session(db, stranger):
    add_bars(db)
    go_live(db)
    mine, other = insert_event(db), insert_event(db, symbol="OTHER")
    db.execute(f"GRANT ml_analyst TO {stranger}")
    db.execute("ALTER TABLE pattern_events ENABLE ROW LEVEL SECURITY")
    db.execute("CREATE POLICY analysts ON pattern_events FOR SELECT TO ml_analyst USING (symbol = 'TEST')")
    db.execute(f"CREATE POLICY strangers ON pattern_events FOR SELECT TO {stranger} USING (symbol = 'OTHER')")
    found = {}
    for role in ("ml_analyst", stranger, "ml_analyst", "ml_dashboard"):
        with acting_as(db, role):
            if role != "ml_dashboard":
                # Prepared at the first call and kept by the session: a plan for one role must not serve another.
                for _ in range(6):
                    found[role] = [
                        db.execute(
                            "SELECT ml_pattern_confidence(%s) -> 'found'", (row["id"],), prepare=True
                        ).fetchone()[0]
                        for row in (mine, other)
                    ]
            seen = db.execute(
                "SELECT count(*) FROM confirmed_patterns" if role == "ml_analyst" else "SELECT 1"
            ).fetchone()
            assert seen == (1,)
    assert found == {"ml_analyst": [True, False], stranger: [True, True]}
    with acting_as(db, "ml_dashboard"):
        assert value(db, "SELECT count(*) FROM pattern_events") == 0


@pytest.fixture
def supabase(empty_db):
    """Return an empty database with Supabase's roles and its rights by default, and what makes them go."""
    made = []
    for role in ("anon", "authenticated", "service_role"):
        if not value(empty_db, "SELECT count(*) FROM pg_roles WHERE rolname = %s", role):
            empty_db.execute(f"CREATE ROLE {role}")
            made.append(role)
    for objects in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        empty_db.execute(
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {objects} TO anon, authenticated, service_role"
        )
    yield empty_db
    empty_db.execute("DROP OWNED BY anon, authenticated, service_role")
    for role in made:
        empty_db.execute(f"DROP ROLE {role}")


def test_roles_of_supabase_get_nothing_by_default(supabase):
    db = supabase
    db.execute("CREATE TABLE notes (note text)")
    command.upgrade(alembic_config(str_url(db)), "head")
    open_to = "SELECT role, identity FROM ml.held_rights WHERE role IN ('anon', 'authenticated', 'service_role')"
    assert rows(db, open_to) == []
    # A partition made later as well; a table of the user's own is left alone.
    db.execute("SELECT ml.create_prediction_partitions(now() + interval '1 year', 1)")
    assert rows(db, open_to) == []
    assert value(db, "SELECT has_table_privilege('anon', 'notes', 'SELECT')")
    # What is given on purpose stays.
    db.execute("GRANT SELECT ON confirmed_patterns TO authenticated")
    db.execute("GRANT ml_writer TO service_role")
    db.execute("SELECT ml.grant_access()")
    assert [row["identity"] for row in rows(db, open_to)] == ["public.confirmed_patterns"]
    with acting_as(db, "service_role"):
        insert_event(db)
    for role in ("anon", "authenticated"):
        for statement in ("SELECT ml_health()", "SELECT * FROM ml_predictions", "SELECT * FROM ml_settings"):
            with acting_as(db, role), pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement.encode())


def test_an_adopted_table_keeps_the_rights_that_its_users_hold(supabase):
    db = supabase
    db.execute("CREATE TABLE pattern_events (id uuid PRIMARY KEY, symbol text, desk text)")
    command.upgrade(alembic_config(str_url(db)), "head")
    held = rows(db, "SELECT identity FROM ml.held_rights WHERE role = 'authenticated' GROUP BY 1")
    assert [row["identity"] for row in held] == ["public.pattern_events"]
    with acting_as(db, "ml_writer"):
        assert insert_event(db, id=uuid.uuid4(), desk="FX")["desk"] == "FX"


def str_url(db):
    """Return the URL of a connection's database."""
    about = db.info
    return f"postgresql://{about.user}@:{about.port}/{about.dbname}?host={about.host}"


@pytest.fixture(scope="module")
def own_server():
    """Yield a server where no other database uses the roles."""
    with ThrowawayServer() as server:
        yield server


@pytest.fixture
def databases(own_server):
    """Return a function that makes a database on that server and connects to it."""
    opened = []
    admin = psycopg.connect(host=own_server.host, port=own_server.port, user=own_server.user, dbname="postgres")
    admin.autocommit = True

    def make(owner=None):
        name = f"roles_{len(opened)}"
        admin.execute(f"CREATE DATABASE {name}" + (f" OWNER {owner}" if owner else ""))
        opened.append(psycopg.connect(host=own_server.host, port=own_server.port, user=own_server.user, dbname=name))
        opened[-1].autocommit = True
        return opened[-1]

    yield make
    for connection in opened:
        name = connection.info.dbname
        connection.close()
        admin.execute(f"DROP DATABASE {name}")
    for role in rows(admin, "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND NOT rolsuper"):
        admin.execute(f"DROP ROLE {role['rolname']}")
    admin.close()


def migrate(db, revision="head"):
    """Bring a database up to a revision, or down to it."""
    config = alembic_config(str_url(db))
    config.cmd_opts = type("Options", (), {"x": ["drop_data=yes"]})()
    (command.upgrade if revision == "head" else command.downgrade)(config, revision)


def existing(db):
    """Return which of the four roles there are."""
    return {row["rolname"] for row in rows(db, "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", list(ROLES))}


def test_a_role_goes_with_the_last_database_that_uses_it(databases):
    first, second = databases(), databases()
    migrate(first)
    migrate(second)
    assert existing(first) == set(ROLES)
    migrate(first, "0021")
    assert existing(first) == set(ROLES)
    first.execute("CREATE ROLE trader LOGIN IN ROLE ml_writer")
    migrate(second, "0021")
    # Somebody is a member of it.
    assert existing(first) == {"ml_writer"}
    migrate(first)
    first.execute("DROP ROLE trader")
    migrate(first, "0021")
    assert existing(first) == set()


def test_a_role_that_somebody_else_made_stays(databases):
    db = databases()
    db.execute("CREATE ROLE ml_ops NOLOGIN")
    migrate(db)
    assert value(db, "SELECT has_function_privilege('ml_ops', 'ml.disable(text)', 'EXECUTE')")
    migrate(db, "0021")
    assert existing(db) == {"ml_ops"}


def test_without_the_right_to_make_roles_the_rest_is_migrated(databases):
    admin = databases()
    admin.execute("CREATE ROLE deployer LOGIN")
    db = databases("deployer")
    db.execute(f"ALTER DATABASE {db.info.dbname} SET role = deployer")
    migrate(db)
    assert existing(db) == set()
    notices = []
    db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    with acting_as(db, "deployer"):
        report = value(db, "SELECT ml.grant_access()")
        assert report["missing"] == list(ROLES)
        assert "CREATE ROLE ml_writer NOLOGIN; CREATE ROLE ml_analyst NOLOGIN" in notices[0]
        insert_event(db)
    for role in ROLES:
        db.execute(f"CREATE ROLE {role} NOLOGIN")
    with acting_as(db, "deployer"):
        assert value(db, "SELECT ml.grant_access()")["granted"] > 0
    with acting_as(db, "ml_writer"):
        insert_event(db)
    migrate(db, "0021")
    assert existing(db) == set(ROLES)


def test_a_role_that_may_make_roles_makes_and_drops_them(databases):
    admin = databases()
    admin.execute("CREATE ROLE deployer LOGIN CREATEROLE")
    db = databases("deployer")
    db.execute(f"ALTER DATABASE {db.info.dbname} SET role = deployer")
    migrate(db)
    assert existing(db) == set(ROLES)
    migrate(db, "0021")
    assert existing(db) == set()


def test_two_databases_migrated_at_once(databases):
    both = [databases(), databases()]
    failures = []

    def run(db):
        try:
            migrate(db)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(db,)) for db in both]
    # The first has made its roles and not yet committed when the second wants to make them.
    with both[0].transaction():
        both[0].execute("CREATE ROLE ml_writer NOLOGIN")
        threads[1].start()
        threads[1].join(1)
    threads[1].join()
    run(both[0])
    assert failures == []
    for db in both:
        assert value(db, "SELECT has_table_privilege('ml_writer', 'price_bars', 'INSERT')")
        assert insert_event(db, detected_at=START + timedelta(days=1))["rule_confidence"] == RULE


def test_the_report_of_missing_rights_names_columns(db):
    assert one(
        db,
        "SELECT count(*) FILTER (WHERE attribute IS NOT NULL) > 0 AS by_column, count(DISTINCT role) AS roles"
        " FROM ml.role_rights()",
    ) == {"by_column": True, "roles": 4}
