"""Stages promote and rollback: one SQL call each; the database checks, switches and records."""

from __future__ import annotations

from typing import Any

import psycopg

from trainer.errors import UserError


def champion(connection: psycopg.Connection[Any]) -> str | None:
    """Return the version that is live, or None."""
    row = connection.execute("SELECT version FROM public.ml_aliases WHERE alias = 'champion'").fetchone()
    return row[0] if row else None


def promote(
    connection: psycopg.Connection[Any],
    version: str,
    expected_champion: str | None,
    reason: str,
    force: bool = False,
) -> dict[str, Any]:
    """Make a version the champion; a refusal by the database is a UserError with its sentence."""
    return _call(
        connection, "SELECT ml.promote(%s, %s, %s, %s)", (version, expected_champion, reason, force)
    )


def rollback(connection: psycopg.Connection[Any], reason: str, version: str | None = None) -> dict[str, Any]:
    """Make the previous champion, or the version named, live again."""
    return _call(connection, "SELECT ml.rollback(%s, %s)", (reason, version))


def _call(connection: psycopg.Connection[Any], query: str, parameters: tuple[Any, ...]) -> dict[str, Any]:
    try:
        with connection.transaction():
            row = connection.execute(query.encode(), parameters).fetchone()
    except psycopg.Error as error:
        raise UserError(_sentence(error)) from error
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    return dict(row[0])


def _sentence(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error)
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    return f"{said[:1].upper()}{said[1:].rstrip('.')}.{hint}"
