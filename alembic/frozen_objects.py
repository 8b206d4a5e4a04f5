"""Migration operations that read frozen files only: ``alembic/snapshots/`` and ``generated/``.

A revision never reads the head file in ``sql/``. It names the snapshot, so that a downgrade restores the body that was
there, whatever has become of the object since. ``python alembic/freeze.py`` makes snapshots.
"""

import hashlib
import re
from pathlib import Path

from alembic import context
from alembic.operations import MigrateOperation, Operations

SNAPSHOTS = Path(__file__).parent / "snapshots"
GENERATED = Path(__file__).parent.parent / "generated"

_CREATE = re.compile(
    r"^CREATE\s+(?:OR\s+REPLACE\s+)?(?P<kind>TABLE|VIEW|FUNCTION|AGGREGATE|TYPE|TRIGGER)\s+"
    r"(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>[a-z0-9_.\"-]+)(?:\s+(?:BEFORE|AFTER)[^;]*?\bON\s+(?P<table>[a-z0-9_.]+))?",
    re.MULTILINE,
)


def snapshot(path: str, version: str) -> str:
    """Return the frozen text of an object; a missing file is an error, never skipped."""
    return (SNAPSHOTS / path / f"{version}.sql").read_text(encoding="utf-8")


def drop_statements(sql: str) -> str:
    """Return a DROP for each object that a snapshot creates, by the name it gives, last one first."""
    statements = []
    for match in _CREATE.finditer(sql):
        kind, name = match["kind"].replace("AGGREGATE", "ROUTINE"), match["name"]
        statements.append(
            f"DROP TRIGGER {name} ON {match['table']};\n" if kind == "TRIGGER" else f"DROP {kind} {name};\n"
        )
    if not statements:
        # Rows of a table that an earlier revision made.
        statements = [f"DELETE FROM {table};\n" for table in re.findall(r"^INSERT INTO (\S+)", sql, re.MULTILINE)]
    if not statements:
        raise ValueError("the snapshot creates no object that can be dropped by name")
    return "".join(reversed(statements))


def execute(operations: Operations, sql: str) -> None:
    """Run a text of one or more statements as it stands: no bind parameters, no percent signs."""
    migration = operations.get_context()
    if migration.as_sql:
        migration.impl.static_output(sql)
    else:
        operations.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})


def require_drop_data(what: str) -> None:
    """Refuse a downgrade that loses data unless ``-x drop_data=yes`` was given."""
    if context.get_x_argument(as_dictionary=True).get("drop_data") != "yes":
        raise SystemExit(f"This downgrade deletes {what}. To go on: alembic -x drop_data=yes downgrade ...")


class _ObjectOperation(MigrateOperation):
    def __init__(self, path: str, version: str) -> None:
        self.path, self.version = path, version


@Operations.register_operation("install_object")
class InstallObject(_ObjectOperation):
    """Create an object from its snapshot, or replace its body by that of another snapshot."""

    @classmethod
    def install_object(cls, operations: Operations, path: str, *, version: str) -> None:
        """Run ``snapshots/<path>/<version>.sql``."""
        operations.invoke(cls(path, version))


@Operations.register_operation("drop_object")
class DropObject(_ObjectOperation):
    """Drop the object that a snapshot created."""

    @classmethod
    def drop_object(cls, operations: Operations, path: str, *, version: str) -> None:
        """Drop what ``snapshots/<path>/<version>.sql`` creates."""
        operations.invoke(cls(path, version))


@Operations.register_operation("drop_added_functions")
class DropAddedFunctions(_ObjectOperation):
    """Drop the functions that a snapshot of several has and an earlier one had not."""

    def __init__(self, path: str, version: str, kept: str) -> None:
        super().__init__(path, version)
        self.kept = kept

    @classmethod
    def drop_added_functions(cls, operations: Operations, path: str, *, version: str, kept: str) -> None:
        """Drop the functions of ``snapshots/<path>/<version>.sql`` that are not in ``<kept>.sql`` beside it."""
        operations.invoke(cls(path, version, kept))


@Operations.register_operation("run_sql")
class RunSql(MigrateOperation):
    """Run SQL text as it stands, online and with ``--sql``."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    @classmethod
    def run_sql(cls, operations: Operations, sql: str) -> None:
        """Run a text of one or more statements."""
        operations.invoke(cls(sql))


class _ModelOperation(MigrateOperation):
    def __init__(self, version: str, hashes: dict[str, str]) -> None:
        self.version, self.hashes = version, hashes


@Operations.register_operation("install_model")
class InstallModel(_ModelOperation):
    """Install a released model: its compiled functions and its registry rows."""

    @classmethod
    def install_model(cls, operations: Operations, version: str, **hashes: str) -> None:
        """Run files of ``generated/<version>/``, named with their SHA-256, in the order given."""
        operations.invoke(cls(version, hashes))


@Operations.register_operation("remove_model")
class RemoveModel(_ModelOperation):
    """Remove a released model."""

    @classmethod
    def remove_model(cls, operations: Operations, version: str, **hashes: str) -> None:
        """Run files of ``generated/<version>/``, named with their SHA-256, in the order given."""
        operations.invoke(cls(version, hashes))


@Operations.implementation_for(InstallObject)
def _install_object(operations: Operations, operation: InstallObject) -> None:
    execute(operations, snapshot(operation.path, operation.version))


@Operations.implementation_for(DropObject)
def _drop_object(operations: Operations, operation: DropObject) -> None:
    execute(operations, drop_statements(snapshot(operation.path, operation.version)))


@Operations.implementation_for(DropAddedFunctions)
def _drop_added_functions(operations: Operations, operation: DropAddedFunctions) -> None:
    kept = drop_statements(snapshot(operation.path, operation.kept)).splitlines()
    drops = drop_statements(snapshot(operation.path, operation.version)).splitlines()
    execute(operations, "".join(f"{drop}\n" for drop in drops if drop not in kept))


@Operations.implementation_for(RunSql)
def _run_sql(operations: Operations, operation: RunSql) -> None:
    execute(operations, operation.sql)


@Operations.implementation_for(InstallModel)
@Operations.implementation_for(RemoveModel)
def _run_model_files(operations: Operations, operation: _ModelOperation) -> None:
    for name, expected in operation.hashes.items():
        text = (GENERATED / operation.version / f"{name}.sql").read_bytes()
        if hashlib.sha256(text).hexdigest() != expected:
            raise SystemExit(
                f"generated/{operation.version}/{name}.sql was changed after its release: "
                "restore it from version control."
            )
        execute(operations, text.decode("utf-8"))
