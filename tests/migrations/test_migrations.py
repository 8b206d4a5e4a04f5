"""Revisions: one head, the same end state by every way, up, down and up again with data in it."""

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from catalog import fingerprint
from support import add_bars, champion, go_live, insert_event, one, rows, value

from trainer.compiler import runtime_sql
from trainer.migrations import alembic_config

ROOT = Path(__file__).parents[2]


def scripts():
    return ScriptDirectory.from_config(alembic_config("postgresql://unused"))


def run_files(db, text, folder):
    """Run a psql script that only includes other files."""
    for file in re.findall(r"^\\ir (\S+)$", text, re.MULTILINE):
        db.execute((folder / file).read_bytes())


def test_there_is_one_head_and_revisions_are_numbered():
    revisions = [script.revision for script in scripts().walk_revisions()]
    assert len(scripts().get_heads()) == 1
    assert sorted(revisions) == [f"{number:04d}" for number in range(1, len(revisions) + 1)]
    for script in scripts().walk_revisions():
        assert Path(script.path).name.startswith(f"{script.revision}_")


def test_every_head_file_is_frozen():
    done = subprocess.run(
        [sys.executable, "alembic/freeze.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), f"freeze these under a new revision:\n{done.stdout}"


def test_the_installed_helpers_are_those_of_the_compiler():
    installed = (ROOT / "sql/scoring/compiler_runtime.sql").read_text()
    header, _, helpers = installed.partition("\n\n")
    assert helpers == runtime_sql("ml"), "write runtime_sql('ml') below the header and freeze it under a new revision"
    assert header.startswith("-- ")


def test_the_table_of_contents_names_every_file():
    named = set(re.findall(r"^\\ir (\S+)$", (ROOT / "sql/install.sql").read_text(), re.MULTILINE))
    present = {str(file.relative_to(ROOT / "sql")) for file in (ROOT / "sql").rglob("*.sql")} - {"install.sql"}
    assert named == present


def test_every_file_says_what_it_is():
    for file in (ROOT / "sql").rglob("*.sql"):
        if file.name == "install.sql":
            continue
        text = file.read_text()
        head = text[: text.index("\n\n")]
        assert head.startswith("-- "), file
        for word in ("Called by:", "Calls:", "Reads:", "Writes:"):
            assert word in head, (file, word)


def test_alembic_is_not_shadowed():
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_migrations_and_head_files_give_the_same_catalog(db, empty_db):
    run_files(empty_db, (ROOT / "sql/install.sql").read_text(), ROOT / "sql")
    for folder in sorted((ROOT / "generated").glob("v*")):
        empty_db.execute((folder / "score.sql").read_bytes())
        empty_db.execute((folder / "register.sql").read_bytes())
    empty_db.execute("SELECT ml.record_functions(version) FROM ml_models")
    empty_db.execute("SELECT ml.create_prediction_partitions()")
    expected, actual = fingerprint(empty_db), fingerprint(db)
    for kind in expected:
        assert actual[kind] == expected[kind], kind


def test_the_offline_script_gives_the_same_catalog(db, empty_db, empty_db_url):
    config = alembic_config("postgresql://nobody@nowhere.invalid/never-connected")
    config.output_buffer = StringIO()
    command.upgrade(config, "head", sql=True)
    psql = subprocess.run(
        [resource_psql(), empty_db_url, "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
        input=config.output_buffer.getvalue(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert psql.returncode == 0, psql.stderr
    expected, actual = fingerprint(db), fingerprint(empty_db)
    for kind in expected:
        assert actual[kind] == expected[kind], kind


def resource_psql():
    from trainer.server import find_binaries

    return find_binaries().folder / "psql"


def test_up_down_up_on_a_filled_database(empty_db, upgrade, downgrade):
    upgrade()
    before = fingerprint(empty_db)
    add_bars(empty_db)
    go_live(empty_db)
    insert_event(empty_db)
    for script in scripts().walk_revisions():
        downgrade(script.down_revision or "base")
    left = rows(
        empty_db,
        "SELECT c.oid::regclass::text AS name FROM pg_class AS c WHERE c.relnamespace::regnamespace::text IN"
        " ('public', 'ml') AND c.relkind IN ('r', 'p', 'v', 'c', 'S')"
        " UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc AS p"
        " WHERE p.pronamespace::regnamespace::text IN ('public', 'ml')",
    )
    assert left == [{"name": "ml.alembic_version"}]
    upgrade()
    after = fingerprint(empty_db)
    for kind in before:
        assert after[kind] == before[kind], kind
    add_bars(empty_db)
    go_live(empty_db)
    assert insert_event(empty_db)["model_version"] == "toy"


def test_functions_come_back_without_losing_data(empty_db, upgrade, downgrade):
    """Revisions above the features can go down and up again at any time: what is stored stays."""
    upgrade()
    add_bars(empty_db)
    go_live(empty_db)
    stored = insert_event(empty_db)
    indicators = rows(empty_db, "SELECT * FROM ml.bar_indicators ORDER BY ts")
    downgrade("0002")
    assert one(empty_db, "SELECT * FROM pattern_events") == stored
    insert_event(empty_db)  # no trigger: a plain table
    upgrade()
    assert rows(empty_db, "SELECT * FROM ml.bar_indicators ORDER BY ts") == indicators
    assert value(empty_db, "SELECT count(*) FROM pattern_events") == 2


def test_deleting_data_takes_a_clear_yes(empty_db, upgrade, downgrade):
    upgrade("0001")
    with pytest.raises(SystemExit, match="drop_data=yes"):
        downgrade("base", drop_data=False)
    assert value(empty_db, "SELECT to_regclass('price_bars') IS NOT NULL")


def test_upgrading_twice_changes_nothing(db, db_url):
    before = fingerprint(db)
    command.upgrade(alembic_config(db_url), "head")
    assert fingerprint(db) == before


def test_a_released_model_is_live_and_disabled(db):
    released = sorted(folder.name for folder in (ROOT / "generated").glob("v*"))
    assert champion(db) == released[-1]
    assert value(db, "SELECT enabled FROM ml_settings") is False
    assert [row["version"] for row in rows(db, "SELECT version FROM ml_models ORDER BY 1")] == released


def test_a_taken_name_is_said_before_anything_is_changed(empty_db, upgrade):
    empty_db.execute("CREATE TABLE ml_models (id integer)")
    with pytest.raises(Exception, match=r"public\.ml_models exist already"):
        upgrade()
    assert value(empty_db, "SELECT to_regclass('price_bars') IS NULL")


def test_plpgsql_bodies_are_checked(db):
    """plpgsql_check knows what CREATE FUNCTION accepts and a call would not; not every server has it."""
    if not value(db, "SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'"):
        pytest.skip("this server has no plpgsql_check")
    db.execute("CREATE EXTENSION plpgsql_check")
    with pytest.raises(psycopg.Error):
        db.execute("SELECT plpgsql_check_function('ml.nothing()')")
    problems = rows(
        db,
        """
        SELECT p.oid::regprocedure::text AS function, checked.message
        FROM pg_proc AS p
        JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
        LEFT JOIN LATERAL (
            SELECT max(t.tgrelid) AS tgrelid, max(t.tgnewtable) AS tgnewtable, max(t.tgoldtable) AS tgoldtable
            FROM pg_trigger AS t WHERE t.tgfoid = p.oid
        ) AS used ON true
        CROSS JOIN LATERAL plpgsql_check_function_tb(
            p.oid::regprocedure, coalesce(used.tgrelid, 0),
            newtable => used.tgnewtable, oldtable => used.tgoldtable,
            extra_warnings => false, performance_warnings => false
        ) AS checked
        WHERE p.pronamespace IN ('ml'::regnamespace, 'public'::regnamespace)
            AND checked.level IN ('error', 'warning')
        """,
    )
    assert problems == []
