"""Bring a database to the current schema with Alembic."""

from __future__ import annotations

import re

import typer
from alembic import command as alembic_command
from alembic.config import Config
from alembic.util import CommandError

from trainer.cli import DatabaseUrl
from trainer.database import connect, resolve_url
from trainer.errors import UserError
from trainer.resources import resource


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for the database at ``url``, wherever the package is installed."""
    config = Config(resource("alembic.ini"))
    config.attributes["url"] = url
    config.attributes["configure_logging"] = False
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade the database at ``url`` to a revision; does nothing when it is there already.

    Raises ``UserError`` when the database refuses, for example because a name is taken or a right is missing.
    """
    try:
        alembic_command.upgrade(alembic_config(url), revision)
    except CommandError as error:
        said = str(error).strip().rstrip(".")
        unknown = re.search(r"Can't locate revision identified by '([^']*)'", said)
        if unknown:
            said = (
                f"The database is at schema revision {unknown[1]}, which this installation does not know: install "
                "the version of pattern-confidence that made it, or a newer one"
            )
        raise UserError(f"{said}.") from error


def current_revision(url: str) -> str | None:
    """Return the schema revision of the database at ``url``, or None before the first migration."""
    with connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT to_regclass('ml.alembic_version') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return None
        row = connection.execute("SELECT version_num FROM ml.alembic_version").fetchone()
    return str(row[0]) if row else None


def command(database_url: DatabaseUrl = None) -> None:
    """Bring a database to the current schema; a database that is there already stays as it is."""
    url = resolve_url(database_url)
    before = current_revision(url)
    upgrade(url)
    after = current_revision(url)
    if after == before:
        typer.echo(f"schema revision {after}, as before")
    else:
        typer.echo(f"schema revision {after}, before: {before or 'none'}")
