"""Stage deploy: install a compiled model in a database and register it, without making it live."""

from __future__ import annotations

from typing import Any

import psycopg
import typer

from trainer.artefact import ModelArgument, ModelFolder, find_model
from trainer.cli import DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url
from trainer.errors import UserError


def require_schema(connection: psycopg.Connection[Any]) -> None:
    """Raise a UserError when the database has not been migrated."""
    row = connection.execute("SELECT to_regclass('public.ml_models') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        raise UserError(f"This database has not been migrated: {MIGRATE}.")


def registered_hash(connection: psycopg.Connection[Any], version: str) -> str | None:
    """Return the artefact hash under which a version is registered, or None."""
    row = connection.execute("SELECT artefact_sha256 FROM public.ml_models WHERE version = %s", (version,)).fetchone()
    return row[0] if row else None


def deploy(connection: psycopg.Connection[Any], folder: ModelFolder) -> bool:
    """Install and register a compiled model in one transaction; return False when it is there already.

    The hashes of what was installed are recorded with it, so that a promotion can tell whether it was changed since.
    Raises ``UserError`` when the version is registered with another artefact, or when parity was not verified.
    """
    require_schema(connection)
    card = folder.card
    score = folder.read_text("score.sql", "compile")
    register = folder.read_text("register.sql", "compile")
    parity = folder.read_json("parity.json", "verify")
    if parity.get("artefact_sha256") != card["artefact_sha256"]:
        raise UserError(f"{folder.version} was compiled again after it was verified: run `trainer verify` once more.")
    with connection.transaction():
        known = registered_hash(connection, folder.version)
        if known is None:
            connection.execute(score.encode())
            connection.execute(register.encode())
            connection.execute("SELECT ml.record_functions(%s)", (folder.version,))
        elif known != card["artefact_sha256"]:
            raise UserError(
                f"{folder.version} is registered with another artefact, and models are immutable: "
                "fit again to get a new version."
            )
    return known is None


def command(model: ModelArgument = None, database_url: DatabaseUrl = None) -> None:
    """Install a verified model in the database; it does not go live until it is promoted."""
    folder = find_model(model)
    with connect(resolve_url(database_url), autocommit=True) as connection:
        fresh = deploy(connection, folder)
    typer.echo(f"{folder.version}  {'deployed' if fresh else 'was deployed already'}")
