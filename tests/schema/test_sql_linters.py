"""Linters over every SQL file: pgspot for security, squawk for the locks of the migration script."""

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pglast
import pytest
from alembic import command

from trainer.migrations import alembic_config

SQL = Path(__file__).parents[2] / "sql"
FILES = sorted(SQL.rglob("*.sql"))

# Each exception with its reason.
PGSPOT_ALLOWED = {
    "PS010": "CREATE SCHEMA IF NOT EXISTS: the pre-flight refuses a schema of another role",
    "PS005": "called only from functions that pin the path; a SET clause would be paid for every row",
}
SQUAWK_ALLOWED = {
    "ban-drop-function": "only a function whose columns change is dropped, and made again in the same transaction",
    "prefer-robust-stmts": "the script runs in one transaction",
    "require-lock-timeout": "alembic/env.py sets it; the script is for an empty database, where nothing waits",
    "require-statement-timeout": "a migration of a large table takes the time that it takes",
    "prefer-text-field": "Alembic's own version table",
    "prefer-bigint-over-int": "positions, microseconds of one call, and bars of one series stay far below 2^31",
    "ban-drop-view": "a view or function of schema ml that changes its type is made anew in the same transaction",
    "prefer-bigint-over-smallint": "a sign is -1, 0 or 1",
}


def tool(name):
    path = shutil.which(name) or Path(sys.executable).with_name(name)
    return str(path)


@pytest.mark.parametrize("file", [file for file in FILES if file.name != "install.sql"], ids=lambda file: file.stem)
def test_every_file_parses(file):
    assert pglast.parse_sql(file.read_text())


def test_pgspot_finds_no_error():
    files = [str(file) for file in FILES if file.name != "install.sql"]
    ignored = [f"--ignore={code}" for code in PGSPOT_ALLOWED]
    done = subprocess.run([tool("pgspot"), *ignored, *files], capture_output=True, text=True, check=False)
    assert "TOTAL: Errors: 0 " in done.stdout, done.stdout + done.stderr


def test_squawk_finds_nothing_in_the_migration_script(tmp_path):
    config = alembic_config("postgresql://unused")
    config.output_buffer = StringIO()
    command.upgrade(config, "head", sql=True)
    script = tmp_path / "upgrade.sql"
    script.write_text(config.output_buffer.getvalue())
    done = subprocess.run(
        [
            tool("squawk"), "--pg-version", "15", "--reporter", "json",
            *(f"--exclude={rule}" for rule in SQUAWK_ALLOWED), str(script),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {(item["rule_name"], item["message"]) for item in json.loads(done.stdout or "[]")}
    assert found == set(), done.stderr
