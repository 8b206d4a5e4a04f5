"""Promotion, rollback, switches, and the history that they leave."""

import threading
import time

import psycopg
import pytest
from support import add_bars, add_calibrator, champion, go_live, insert_event, install_model, one, rows, value


def promote(db, version, expected, reason="test"):
    return value(db, "SELECT ml.promote(%s, %s, %s)", version, expected, reason)


def test_promote_switches_and_records(db):
    start = champion(db)
    install_model(db, "a")
    install_model(db, "b")
    assert promote(db, "a", start)["changed"]
    result = promote(db, "b", "a", "better")
    assert (result["champion"], result["previous"]) == ("b", "a")
    assert champion(db) == "b"
    last = rows(db, "SELECT * FROM ml_deployments ORDER BY id")[-1]
    assert (last["action"], last["version"], last["previous_version"], last["reason"]) == (
        "promote",
        "b",
        "a",
        "better",
    )
    assert last["actor"] == value(db, "SELECT session_user::text")


def test_the_expected_champion_is_checked_first(db):
    install_model(db, "a")
    promote(db, "a", champion(db))
    for version in ("a", "b", "nowhere"):
        with pytest.raises(psycopg.errors.SerializationFailure, match="the champion is a, not x as expected"):
            promote(db, version, "x")
    assert promote(db, "a", "a")["changed"] is False


def test_an_unknown_version_is_refused(db):
    with pytest.raises(psycopg.errors.NoDataFound, match="not registered"):
        promote(db, "nowhere", champion(db))


@pytest.mark.parametrize(
    ("spoil", "gate"),
    [
        ("DELETE FROM ml_features WHERE name = 'rsi_14'", "features"),
        (
            "CREATE OR REPLACE FUNCTION ml_generated.score_a(p_features float8[]) RETURNS float8[]"
            " LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ARRAY[0.5, 0.5]; END'",
            "golden rows",
        ),
        (
            "CREATE OR REPLACE FUNCTION ml_generated.score_a(p_features float8[]) RETURNS float8[]"
            " LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN NULL; END'",
            "golden rows",
        ),
    ],
)
def test_a_spoilt_model_is_not_promoted(db, spoil, gate):
    start = champion(db)
    install_model(db, "a")
    db.execute(spoil)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=gate):
        promote(db, "a", start)
    assert champion(db) == start
    assert value(db, "SELECT ml.promote('a', %s, 'I know', true)", start)["changed"]
    details = value(db, "SELECT details FROM ml_deployments ORDER BY id DESC LIMIT 1")
    assert (details["forced"], details["failed_gates"]) == (True, [gate])


def test_nothing_goes_around_missing_functions(db):
    start = champion(db)
    install_model(db, "a")
    db.execute("DROP FUNCTION ml_generated.score_a(float8[])")
    for force in (False, True):
        with pytest.raises(
            psycopg.errors.ObjectNotInPrerequisiteState, match=r"functions: ml_generated\.score_a or .* is missing"
        ):
            db.execute("SELECT ml.promote('a', %s, 'I know', %s)", (start, force))
    assert champion(db) == start


@pytest.mark.parametrize("reason", [None, "", " \n"])
def test_force_needs_a_reason(db, reason):
    start = champion(db)
    install_model(db, "a")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="say in p_reason why"):
        db.execute("SELECT ml.promote('a', %s, %s, true)", (start, reason))
    with pytest.raises(psycopg.errors.SerializationFailure, match="as expected"):
        db.execute("SELECT ml.promote('a', 'nobody', %s, true)", (reason,))


def test_rollback_goes_back_step_by_step(db):
    db.execute("DELETE FROM ml_aliases")
    for version, expected in (("a", None), ("b", "a"), ("c", "b")):
        install_model(db, version)
        promote(db, version, expected)
    assert value(db, "SELECT ml.rollback('bad')")["champion"] == "b"
    assert value(db, "SELECT ml.rollback('worse')")["champion"] == "a"
    # Below them is what the migrations have installed.
    for released in reversed(
        [row["version"] for row in rows(db, "SELECT * FROM ml_deployments WHERE action = 'install'")]
    ):
        assert value(db, "SELECT ml.rollback('to the release')")["champion"] == released
    with pytest.raises(psycopg.errors.NoDataFound, match="no previous champion"):
        db.execute("SELECT ml.rollback('again')")
    assert value(db, "SELECT ml.rollback('back to c', 'c')")["champion"] == "c"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="already"):
        db.execute("SELECT ml.rollback('x', 'c')")
    with pytest.raises(psycopg.errors.NoDataFound, match="not registered"):
        db.execute("SELECT ml.rollback('x', 'nowhere')")


def test_rollback_is_not_gated(db):
    db.execute("DELETE FROM ml_aliases")
    install_model(db, "a")
    install_model(db, "b")
    promote(db, "a", None)
    promote(db, "b", "a")
    db.execute("DROP FUNCTION ml_generated.score_b(float8[])")
    db.execute("DELETE FROM ml_features")
    db.execute("SELECT ml.rollback('broken')")
    assert champion(db) == "a"


def test_rollback_restores_the_calibrator(db):
    db.execute("DELETE FROM ml_aliases")
    install_model(db, "a")
    install_model(db, "b")
    add_calibrator(db, "a-1", "a")
    promote(db, "a", None)
    add_calibrator(db, "a-2", "a")
    promote(db, "b", "a")
    db.execute("SELECT ml.rollback('bad')")
    assert one(db, "SELECT version, calibrator_version FROM ml_aliases WHERE alias = 'champion'") == {
        "version": "a",
        "calibrator_version": "a-1",
    }


def test_rollbacks_do_not_oscillate(db):
    start = champion(db)
    install_model(db, "a")
    promote(db, "a", start)
    promote(db, start, "a")
    # Every release was live once, the newest the last.
    released = [
        row["version"] for row in rows(db, "SELECT version FROM ml_models WHERE version <> 'a' ORDER BY 1 DESC")
    ]
    assert released[0] == start
    expected = ["a", *released]
    assert [value(db, "SELECT ml.rollback('x')")["champion"] for _ in expected] == expected
    with pytest.raises(psycopg.errors.NoDataFound, match="no previous champion"):
        db.execute("SELECT ml.rollback('x')")


def test_a_new_calibrator_goes_live_and_back(db):
    db.execute("DELETE FROM ml_aliases")
    install_model(db, "a")
    add_calibrator(db, "a-1", "a")
    promote(db, "a", None)
    add_calibrator(db, "a-2", "a", ece={"value": 0.015, "low": 0.01, "high": 0.02})
    result = promote(db, "a", "a", "recalibrated")
    assert (result["changed"], result["calibrator"]) == (True, "a-2")
    assert promote(db, "a", "a")["changed"] is False
    assert value(db, "SELECT ml.rollback('worse')")["calibrator"] == "a-1"


def test_the_registry_is_immutable(db):
    install_model(db, "a")
    db.execute("SELECT ml.enable()")
    for change in (
        "UPDATE ml_models SET algorithm = 'x'",
        "UPDATE ml_calibrators SET a = 1",
        "UPDATE ml_deployments SET reason = 'x'",
        "DELETE FROM ml_deployments",
    ):
        if change.startswith("UPDATE ml_calibrators"):
            db.execute(
                "INSERT INTO ml_calibrators (calibrator_version, model_version, method) VALUES ('c', 'a', 'identity')"
            )
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="never changed"):
            db.execute(change)


def test_of_two_promotes_at_once_one_wins(db, db_url):
    start = champion(db)
    for version in "ab":
        install_model(db, version)
    results: list[object] = []

    def run(version: str) -> None:
        with psycopg.connect(db_url, autocommit=True) as connection:
            try:
                results.append(value(connection, "SELECT ml.promote(%s, %s, 'race')", version, start)["champion"])
            except psycopg.errors.SerializationFailure as error:
                results.append(str(error))

    threads = [threading.Thread(target=run, args=(version,)) for version in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert champion(db) in results
    assert sum("as expected" in str(result) for result in results) == 1


def test_of_two_promotes_at_once_the_second_waits_and_is_told(db, db_url):
    """In the order that matters: the first has switched and not committed yet when the second asks."""
    start = champion(db)
    for version in "ab":
        install_model(db, version)
    told: list[str] = []

    def second() -> None:
        with psycopg.connect(db_url, autocommit=True) as connection:
            try:
                promote(connection, "b", start)
            except psycopg.errors.SerializationFailure as error:
                told.append(str(error))

    thread = threading.Thread(target=second)
    with psycopg.connect(db_url) as first:
        promote(first, "a", start)
        thread.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        deadline = time.monotonic() + 30
        while not value(db, waiting):
            assert time.monotonic() < deadline, "the second does not wait"
            time.sleep(0.01)
        first.commit()
    thread.join()
    assert champion(db) == "a"
    assert len(told) == 1
    assert f"the champion is a with calibrator none, not {start} with" in told[0]


def test_a_switch_says_who_holds_it_up(db, db_url):
    install_model(db, "a")
    with psycopg.connect(db_url) as other:
        promote(other, "a", champion(db))
        started = time.monotonic()
        holder = other.info.backend_pid
        with pytest.raises(
            psycopg.errors.LockNotAvailable, match=rf"session {holder} .*pg_terminate_backend\({holder}\)"
        ):
            db.execute("SELECT ml.rollback('at once')")
        assert time.monotonic() - started < 3


def test_a_promoted_challenger_is_no_challenger_any_more(db):
    install_model(db, "a")
    install_model(db, "b")
    for version in "ab":
        db.execute("INSERT INTO ml_aliases VALUES ('challenger', 'b') ON CONFLICT DO NOTHING")
        promote(db, version, champion(db))
        left = value(db, "SELECT count(*) FROM ml_aliases WHERE alias = 'challenger'")
        assert left == (1 if version == "a" else 0)
    db.execute("INSERT INTO ml_aliases VALUES ('challenger', 'a')")
    db.execute("SELECT ml.rollback('back')")
    assert champion(db) == "a"
    assert value(db, "SELECT count(*) FROM ml_aliases WHERE alias = 'challenger'") == 0


def test_rollback_works_when_nothing_else_does(db):
    install_model(db, "a")
    install_model(db, "b")
    promote(db, "a", champion(db))
    promote(db, "b", "a")
    for spoil in (
        "DROP FUNCTION ml_generated.score_a(float8[]), ml_generated.score_b(float8[])",
        "DROP FUNCTION ml.score_pattern_event CASCADE",
        "DROP FUNCTION ml.score_features, ml.check_model, ml.check_artefact, ml.check_quality",
        "DROP TABLE ml_gates, ml_gate_results, ml.model_functions, ml.model_features CASCADE",
        "DELETE FROM ml_settings",
        "DELETE FROM ml_features",
    ):
        db.execute(spoil)
    result = value(db, "SELECT ml.rollback('all is broken')")
    assert (result["champion"], champion(db)) == ("a", "a")
    assert result["warning"] == "the compiled functions of a are missing: deploy it again, or roll back further"
    released = rows(db, "SELECT max(version) AS version FROM ml_models WHERE version LIKE 'v%'")[0]["version"]
    result = value(db, "SELECT ml.rollback('further')")
    assert (result["champion"], result["warning"]) == (released, None)


def test_rollback_is_fast_after_a_hundred_thousand_switches(db):
    for version in "abc":
        install_model(db, version)
    start = champion(db)
    # Promotions one upon the other, then half as many rollbacks, then other switches.
    db.execute(
        "INSERT INTO ml_deployments (action, version)"
        " SELECT 'promote', (ARRAY['a', 'b', 'c'])[1 + n % 3] FROM generate_series(1, 60000) AS n"
    )
    db.execute(
        "INSERT INTO ml_deployments (action, version)"
        " SELECT 'rollback', (ARRAY['a', 'b', 'c'])[1 + n % 3] FROM generate_series(59999, 30001, -1) AS n"
    )
    db.execute("INSERT INTO ml_deployments (action, version) SELECT 'rollout', 'a' FROM generate_series(1, 10001)")
    db.execute("UPDATE ml_aliases SET version = 'b', calibrator_version = NULL WHERE alias = 'champion'")
    assert value(db, "SELECT count(*) FROM ml.live_versions()") == 30001 + value(
        db, "SELECT count(*) FROM ml_deployments WHERE action = 'install'"
    )
    started = time.monotonic()
    assert value(db, "SELECT ml.rollback('bad')")["champion"] == "a"
    assert value(db, "SELECT ml.rollback('far back', %s)", start)["champion"] == start
    assert time.monotonic() - started < 1


def test_switches_are_recorded_whoever_changes_them(db):
    db.execute("SELECT ml.enable('go live')")
    db.execute("SELECT ml.enable('again')")
    db.execute("SELECT ml.set_rollout(5, 'canary')")
    db.execute("UPDATE ml_settings SET ml_weight = 0.5, rule_weight = 0.5")
    db.execute("SELECT ml.disable('panic')")
    history = rows(db, "SELECT action, reason, details FROM ml_deployments WHERE action <> 'install' ORDER BY id")
    assert [(row["action"], row["reason"]) for row in history] == [
        ("enable", "go live"),
        ("rollout", "canary"),
        ("weights", None),
        ("disable", "panic"),
    ]
    assert history[1]["details"] == {"rollout_percent": {"old": 100, "new": 5}}


@pytest.mark.parametrize("percent", [-1, 101, float("nan"), None])
def test_a_rollout_outside_its_bounds_is_refused(db, percent):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="between 0 and 100"):
        db.execute("SELECT ml.set_rollout(%s::float8)", (percent,))


@pytest.mark.parametrize(
    "change",
    [
        "ml_weight = 'NaN'",
        "ml_weight = -1",
        "ml_weight = 0, rule_weight = 0",
        "rule_weight = 'infinity'",
        "confidence_threshold = 1.1",
        "confidence_threshold = 'NaN'",
        "rollout_percent = 'NaN'",
        "singleton = false",
    ],
)
def test_settings_that_make_no_sense_are_refused(db, change):
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute(f"UPDATE ml_settings SET {change}")


def test_the_recommended_threshold_can_be_accepted(db):
    install_model(db, "a")
    assert value(db, "SELECT ml.accept_threshold('a', 'card')")["confidence_threshold"] == 0.4
    with pytest.raises(psycopg.errors.NoDataFound, match="not registered"):
        db.execute("SELECT ml.accept_threshold('nowhere', 'x')")


def test_the_threshold_decides_what_is_confirmed(db):
    add_bars(db)
    go_live(db, probability=0.5)
    insert_event(db, rule_confidence=0.625)  # blends to 0.55
    insert_event(db, rule_confidence=0.624)
    assert value(db, "SELECT count(*) FROM confirmed_patterns") == 1


def test_nothing_of_ours_is_executable_by_everybody(db):
    open_to_all = rows(
        db,
        """
        SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
        WHERE p.pronamespace IN ('ml'::regnamespace, 'ml_generated'::regnamespace, 'public'::regnamespace)
            AND p.prosecdef AND (p.proacl IS NULL OR EXISTS (
                SELECT FROM aclexplode(p.proacl) AS a WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE'))
            AND p.prorettype <> 'trigger'::regtype
        """,
    )
    assert open_to_all == []


def test_definer_functions_pin_their_search_path(db):
    """pg_temp must be named, and last: left out, it comes first when a type or table is looked up."""
    unpinned = rows(
        db,
        """
        SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
        WHERE p.pronamespace IN ('ml'::regnamespace, 'ml_generated'::regnamespace, 'public'::regnamespace)
            AND p.prosecdef AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
        """,
    )
    assert unpinned == []


def test_types_and_tables_of_a_writers_temporary_schema_are_not_taken(db, db_url):
    """A domain over every type of the catalog, whose CHECK would run the writer's code with the owner's rights."""
    add_bars(db)
    go_live(db)
    writer = f"writer_{value(db, 'SELECT pg_backend_pid()')}"
    db.execute(f"CREATE ROLE {writer} LOGIN")
    try:
        db.execute(f"GRANT INSERT, UPDATE, SELECT ON pattern_events TO {writer}")
        db.execute(f"GRANT TEMPORARY ON DATABASE {db.info.dbname} TO {writer}")
        with psycopg.connect(db_url, autocommit=True) as session:
            session.execute(f"SET ROLE {writer}")
            session.execute(
                "CREATE FUNCTION pg_temp.attack() RETURNS boolean LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'running as %', current_user; END $$"
            )
            for name in ("text", "uuid", "jsonb", "timestamptz", "int4", "float8", "bool", "numeric", "bytea"):
                session.execute(f"CREATE DOMAIN pg_temp.{name} AS pg_catalog.{name} CHECK (pg_temp.attack())")
            session.execute("CREATE TABLE pg_temp.ml_settings (enabled pg_catalog.bool)")
            session.execute(
                "INSERT INTO public.pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
                " VALUES ('TEST', '1d', 'hammer', '2024-10-01', 0.5)"
            )
            session.execute("UPDATE public.pattern_events SET rule_confidence = 0.6, status = 'seen'")
        logged = rows(db, "SELECT source, fallback_reason, error_sqlstate, model_version FROM ml_predictions")
        assert logged == [
            {"source": source, "fallback_reason": None, "error_sqlstate": None, "model_version": "toy"}
            for source in ("insert", "update")
        ]
    finally:
        db.execute(f"DROP OWNED BY {writer}")
        db.execute(f"DROP ROLE {writer}")


def test_no_unintended_overloads(db):
    overloads = rows(
        db,
        "SELECT p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace"
        " WHERE n.nspname IN ('ml', 'ml_generated', 'public') GROUP BY n.nspname, p.proname HAVING count(*) > 1",
    )
    assert overloads == []


def test_every_object_says_what_it_is(db):
    silent = rows(
        db,
        """
        SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
        WHERE p.pronamespace IN ('ml'::regnamespace, 'ml_generated'::regnamespace, 'public'::regnamespace)
            AND obj_description(p.oid, 'pg_proc') IS NULL
        UNION ALL
        SELECT c.oid::regclass::text FROM pg_class AS c
        WHERE c.relnamespace IN ('ml'::regnamespace, 'public'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'c')
            AND NOT c.relispartition AND c.relname <> 'alembic_version'
            AND obj_description(c.oid, 'pg_class') IS NULL AND obj_description(c.reltype, 'pg_type') IS NULL
        """,
    )
    assert silent == []
