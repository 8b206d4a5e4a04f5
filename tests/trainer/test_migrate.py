"""trainer migrate, and what the migrations say when the database refuses."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from support import value

from trainer.cli import main
from trainer.errors import UserError
from trainer.migrations import current_revision, upgrade

ROOT = Path(__file__).parents[2]
ADVISORY = "hashtextextended('pattern-confidence migration', 0)"


@pytest.fixture
def migrate(empty_db_url, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", empty_db_url)

    def run():
        with pytest.raises(SystemExit) as ended:
            main(["migrate"])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_from_nothing_to_head_and_no_further(migrate, empty_db_url):
    assert current_revision(empty_db_url) is None
    code, said, errors = migrate()
    head = current_revision(empty_db_url)
    assert (code, said, errors) == (0, f"schema revision {head}, before: none\n", "")
    assert migrate() == (0, f"schema revision {head}, as before\n", "")


def test_a_taken_name_is_one_sentence_by_both_ways(empty_db, empty_db_url, migrate):
    empty_db.execute("CREATE TABLE ml_models (id integer)")
    code, _, errors = migrate()
    assert code == 1
    assert errors.startswith("trainer: ")
    assert "public.ml_models exist already" in errors
    assert "Error" not in errors
    assert errors.count("\n") == 1
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "FAILED: " in done.stdout + done.stderr
    assert "public.ml_models exist already" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_an_unknown_revision_is_a_sentence(empty_db, db, db_url):
    db.execute("UPDATE ml.alembic_version SET version_num = '9999'")
    with pytest.raises(UserError, match="schema revision 9999, which this installation does not know"):
        upgrade(db_url)


def test_a_missing_right_is_a_sentence(empty_db, empty_db_url):
    role = f"guest_{value(empty_db, 'SELECT pg_backend_pid()')}"
    empty_db.execute(f"CREATE ROLE {role} LOGIN")
    try:
        url = make_conninfo(empty_db_url, options=f"-c role={role}")
        with pytest.raises(UserError, match=r"no right to use database .*owns the tables"):
            upgrade(url)
    finally:
        empty_db.execute(f"DROP ROLE {role}")


def test_a_lock_of_another_session_is_a_sentence(empty_db, empty_db_url):
    upgrade(empty_db_url, "0001")
    with psycopg.connect(empty_db_url) as other:
        other.execute("LOCK TABLE price_bars IN ACCESS EXCLUSIVE MODE")
        pid = other.info.backend_pid
        with pytest.raises(UserError, match=rf"lock on price_bars \(process {pid}\): nothing was changed, try again"):
            upgrade(empty_db_url)
        other.rollback()
    assert current_revision(empty_db_url) == "0001"
    upgrade(empty_db_url)


def test_a_second_deployment_waits_longer_than_for_a_lock(empty_db, empty_db_url):
    empty_db.execute(f"SELECT pg_advisory_lock({ADVISORY})")
    failed = []

    def deploy():
        try:
            upgrade(empty_db_url)
        except UserError as error:
            failed.append(error)

    database = empty_db.info.dbname
    empty_db.execute(f"ALTER DATABASE {database} SET lock_timeout = '300ms'")
    second = threading.Thread(target=deploy)
    second.start()
    time.sleep(1.5)
    assert second.is_alive()
    empty_db.execute(f"SELECT pg_advisory_unlock({ADVISORY})")
    second.join(60)
    assert failed == []
    assert current_revision(empty_db_url) is not None
