"""A pattern_events that the user already has: adopted, never rewritten, given back as it was."""

import pytest
from support import RULE, START, add_bars, go_live, insert_event, one, rows, value

USERS_TABLE = """
    CREATE TABLE pattern_events (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        symbol text,
        timeframe text,
        pattern_type text,
        detected_at timestamptz,
        rule_confidence double precision,
        entry_price double precision,
        status text DEFAULT 'new',
        desk text NOT NULL DEFAULT 'london',
        notes jsonb,
        ml_confidence double precision CHECK (ml_confidence IS NULL OR ml_confidence >= 0)
    );
    CREATE INDEX pattern_events_desk ON pattern_events (desk);
    INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence, desk, notes)
    SELECT 'TEST', '1d', 'hammer', '2024-06-01', 0.01 * n, 'paris', jsonb_build_object('n', n) FROM generate_series(1, 50) n;
    INSERT INTO pattern_events (symbol) VALUES (NULL);
"""
USERS_ROWS = "SELECT id, symbol, timeframe, pattern_type, detected_at, rule_confidence, entry_price, status, desk, notes, ml_confidence FROM pattern_events ORDER BY id"
STRUCTURE = """
    SELECT a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = 'pattern_events'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1
"""
EVERYTHING_ELSE = """
    SELECT conname AS name, pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = 'pattern_events'::regclass
    UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'pattern_events'
    UNION ALL SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'pattern_events'::regclass AND NOT tgisinternal
    ORDER BY 1, 2
"""


def test_an_adopted_table_keeps_everything_through_up_down_up(empty_db, upgrade, downgrade):
    empty_db.execute(USERS_TABLE)
    before = [rows(empty_db, query) for query in (USERS_ROWS, STRUCTURE, EVERYTHING_ELSE)]
    constraints = "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = 'pattern_events'::regclass ORDER BY 1"
    own_constraints = rows(empty_db, constraints)

    upgrade()
    assert rows(empty_db, USERS_ROWS) == before[0]
    assert rows(empty_db, constraints) == own_constraints
    assert value(empty_db, "SELECT count(*) FROM pattern_events WHERE blended_confidence IS NOT NULL") == 0

    downgrade("base")
    assert [rows(empty_db, query) for query in (USERS_ROWS, STRUCTURE, EVERYTHING_ELSE)] == before

    upgrade()
    assert rows(empty_db, USERS_ROWS) == before[0]


def test_an_adopted_table_takes_what_it_took_and_scores(empty_db, upgrade):
    empty_db.execute(USERS_TABLE)
    upgrade()
    add_bars(empty_db)
    go_live(empty_db)
    empty_db.execute("INSERT INTO pattern_events (desk) VALUES ('tokyo')")
    nothing = one(empty_db, "SELECT * FROM pattern_events WHERE desk = 'tokyo'")
    assert (nothing["blended_confidence"], nothing["model_version"]) == (None, None)
    assert one(empty_db, "SELECT * FROM ml_predictions")["fallback_reason"] == "rule_confidence_invalid"
    stored = insert_event(empty_db)
    assert (stored["model_version"], stored["status"], stored["desk"]) == ("toy", "new", "london")


def test_later_columns_of_the_user_survive_a_downgrade(empty_db, upgrade, downgrade):
    empty_db.execute(USERS_TABLE)
    upgrade()
    empty_db.execute("ALTER TABLE pattern_events ADD COLUMN theirs text DEFAULT 'kept'")
    downgrade("base")
    assert value(empty_db, "SELECT count(*) FROM pattern_events WHERE theirs = 'kept'") == 51


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("ALTER TABLE pattern_events ALTER id DROP DEFAULT, ALTER id TYPE text", "column id is text and not uuid"),
        (
            "ALTER TABLE pattern_events ALTER rule_confidence TYPE numeric",
            "column rule_confidence is numeric and not double",
        ),
        ("ALTER TABLE pattern_events DROP CONSTRAINT pattern_events_pkey", "has no unique column id"),
        (
            "ALTER TABLE pattern_events ADD blended_confidence float8 NOT NULL DEFAULT 0",
            "column blended_confidence is NOT NULL",
        ),
        (
            "ALTER TABLE pattern_events ADD stop_price float8 GENERATED ALWAYS AS (entry_price * 0.98) STORED",
            "column stop_price is generated",
        ),
        (
            "ALTER TABLE pattern_events ADD blended_confidence float8 CHECK (blended_confidence IS NULL OR"
            " blended_confidence < 0.2)",
            "constraint pattern_events_blended_confidence_check would refuse our results",
        ),
        ("ALTER TABLE pattern_events ADD UNIQUE (ml_confidence)", "constraint pattern_events_ml_confidence_key would"),
        (
            "CREATE TABLE models (v text PRIMARY KEY); ALTER TABLE pattern_events ADD model_version text REFERENCES models",
            "constraint pattern_events_model_version_fkey would refuse",
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER zzz BEFORE INSERT ON pattern_events FOR EACH ROW EXECUTE FUNCTION f()",
            "trigger zzz would change rows after",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(empty_db, upgrade, spoil, sentence):
    empty_db.execute(USERS_TABLE)
    empty_db.execute(spoil)
    before = [rows(empty_db, query) for query in (STRUCTURE, EVERYTHING_ELSE)]
    with pytest.raises(Exception, match=sentence):
        upgrade()
    assert [rows(empty_db, query) for query in (STRUCTURE, EVERYTHING_ELSE)] == before
    assert value(empty_db, "SELECT to_regclass('price_bars') IS NULL")


@pytest.mark.parametrize(
    ("taken", "sentence"),
    [
        ("CREATE FUNCTION ml_health() RETURNS int LANGUAGE sql RETURN 1", r"function ml_health\(\) exist already"),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER pattern_events_10_score BEFORE INSERT ON pattern_events FOR EACH ROW EXECUTE FUNCTION f()",
            "trigger pattern_events_10_score on pattern_events exist already",
        ),
        (
            "CREATE SCHEMA ml_generated; CREATE TABLE ml_generated.mine (a int)",
            "schema ml_generated, which is not empty",
        ),
        ("CREATE SCHEMA ml; CREATE TABLE ml.mine (a int)", "schema ml, which is not empty"),
    ],
)
def test_names_of_ours_that_are_taken_are_said(empty_db, upgrade, taken, sentence):
    empty_db.execute(USERS_TABLE)
    empty_db.execute(taken)
    with pytest.raises(Exception, match=sentence):
        upgrade()
    assert value(empty_db, "SELECT to_regclass('price_bars') IS NULL")


def test_columns_of_the_user_are_read_and_never_filled(empty_db, upgrade):
    """Constraints of the user's on their own columns must not meet a value of ours."""
    empty_db.execute(USERS_TABLE)
    empty_db.execute("ALTER TABLE pattern_events ADD direction text CHECK (direction IN ('LONG', 'SHORT'))")
    empty_db.execute("COMMENT ON TABLE pattern_events IS 'ours since 2019'")
    upgrade()
    add_bars(empty_db)
    go_live(empty_db)
    stored = insert_event(empty_db)
    assert (stored["direction"], stored["entry_price"]) == (None, None)
    assert stored["support"] is not None
    assert stored["ml_features"]["direction_sign"] == 1
    assert value(empty_db, "SELECT obj_description('pattern_events'::regclass)") == "ours since 2019"


def test_scores_of_an_earlier_system_stay_until_ml_is_asked(empty_db, upgrade):
    empty_db.execute(USERS_TABLE)
    empty_db.execute("ALTER TABLE pattern_events ADD model_version text, ADD blended_confidence float8")
    empty_db.execute(
        "UPDATE pattern_events SET ml_confidence = 0.9, model_version = 'legacy-7', blended_confidence = 0.83"
    )
    upgrade()
    for change in ("entry_price = 111", "timeframe = '1h'", "rule_confidence = 0.8", "symbol = 'B'", "symbol = 'C'"):
        empty_db.execute(f"UPDATE pattern_events SET {change}")
    assert rows(empty_db, "SELECT DISTINCT ml_confidence, model_version, blended_confidence FROM pattern_events") == [
        {"ml_confidence": 0.9, "model_version": "legacy-7", "blended_confidence": 0.83}
    ]


def test_scores_of_an_earlier_system_give_way_once_ml_is_asked(empty_db, upgrade):
    empty_db.execute(USERS_TABLE)
    empty_db.execute("UPDATE pattern_events SET ml_confidence = 0.9 WHERE symbol IS NOT NULL")
    upgrade()
    add_bars(empty_db)
    go_live(empty_db)
    empty_db.execute("UPDATE pattern_events SET rule_confidence = 0.7 WHERE desk = 'paris'")
    assert value(empty_db, "SELECT count(*) FROM pattern_events WHERE ml_confidence = 0.9") == 50
    empty_db.execute("UPDATE pattern_events SET pattern_type = 'bullish_engulfing' WHERE desk = 'paris'")
    assert value(empty_db, "SELECT count(*) FROM pattern_events WHERE model_version = 'toy'") == 50


def test_all_problems_are_said_at_once(empty_db, upgrade):
    empty_db.execute("CREATE TABLE pattern_events (id integer, symbol integer) PARTITION BY RANGE (id)")
    with pytest.raises(Exception, match="partitioned") as raised:
        upgrade()
    for word in ("column id is integer", "column symbol is integer", "no unique column id"):
        assert word in str(raised.value)


def test_the_migrating_role_must_own_the_table(empty_db, upgrade, empty_db_url):
    empty_db.execute(USERS_TABLE)
    role = f"somebody_{value(empty_db, 'SELECT pg_backend_pid()')}"
    database = empty_db.info.dbname
    empty_db.execute(f"CREATE ROLE {role} LOGIN")
    try:
        empty_db.execute(f"GRANT CREATE ON DATABASE {database} TO {role}")
        empty_db.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}")
        empty_db.execute(f"ALTER DATABASE {database} SET role = {role}")
        with pytest.raises(Exception, match=f"role {role} does not own it"):
            upgrade()
    finally:
        empty_db.execute(f"ALTER DATABASE {database} RESET role")
        empty_db.execute(f"DROP OWNED BY {role}")
        empty_db.execute(f"DROP ROLE {role}")


def test_a_plain_role_can_migrate_and_score(empty_db, upgrade):
    """Managed servers give no superuser: a role that may create in the database is all it takes."""
    role = f"plain_{value(empty_db, 'SELECT pg_backend_pid()')}"
    database = empty_db.info.dbname
    empty_db.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER")
    try:
        empty_db.execute(f"GRANT CREATE ON DATABASE {database} TO {role}")
        empty_db.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {role}")
        empty_db.execute(f"ALTER DATABASE {database} SET role = {role}")
        upgrade()
        empty_db.execute(f"SET ROLE {role}")
        assert value(empty_db, "SELECT current_setting('is_superuser')") == "off"
        add_bars(empty_db)
        go_live(empty_db)
        stored = insert_event(empty_db, detected_at=START.replace(month=9))
        assert stored["model_version"] == "toy"
        assert stored["rule_confidence"] == RULE
        assert value(empty_db, "SELECT count(*) FROM ml_predictions") == 1
        empty_db.execute("RESET ROLE")
    finally:
        empty_db.execute(f"ALTER DATABASE {database} RESET role")
        empty_db.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
        empty_db.execute(f"DROP OWNED BY {role}")
        empty_db.execute(f"DROP ROLE {role}")
