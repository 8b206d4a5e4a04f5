"""Which database to use, how to reach it, and what to say when that fails."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from trainer.errors import UserError

if TYPE_CHECKING:
    from sqlalchemy import URL

APPLICATION = "pattern-confidence"
CONNECT_TIMEOUT = 10

MIGRATE = "run `python -m trainer migrate` first (in a clone, `alembic upgrade head` does the same)"
"""The advice for a database without our schema, at the end of a sentence."""

INSUFFICIENT_PRIVILEGE = "42501"

_EXAMPLE = "postgresql://user:password@host:5432/database"


def resolve_url(option: str | None = None) -> str:
    """Return the libpq URL (or key=value string) of the database to use.

    That is the option, else the environment variable ``DATABASE_URL``, else the embedded server's database,
    which is started when it does not run.
    """
    for source, value in (("--database-url", option), ("DATABASE_URL", os.environ.get("DATABASE_URL"))):
        if value and value.strip():
            return libpq_url(value, source)
    from trainer.server import EmbeddedServer

    return EmbeddedServer().start()


def uses_embedded_server(option: str | None = None) -> bool:
    """Say whether ``resolve_url`` takes the embedded server."""
    return not any(value and value.strip() for value in (option, os.environ.get("DATABASE_URL")))


def url_without_password(url: str) -> str:
    """Return the database as ``postgresql://user@host:port/database``, to be shown."""
    parts = {key: str(value) for key, value in conninfo_to_dict(libpq_url(url)).items() if value is not None}
    user, host, port, name = (parts.pop(key, "") for key in ("user", "host", "port", "dbname"))
    if host and not re.fullmatch(r"[^/,@:]+", host):
        # Socket folders, lists of hosts and IPv6 addresses have no place before the database's name.
        parts["host"], host = host, ""
    place = (quote(user, safe="") + "@" if user else "") + host + (f":{port}" if port else "")
    options = "&".join(f"{key}={quote(value, safe='/,:')}" for key, value in parts.items() if "password" not in key)
    return f"postgresql://{place}/{quote(name, safe='')}" + (f"?{options}" if options else "")


def has_password(url: str) -> bool:
    """Say whether the URL itself carries a password."""
    return bool(conninfo_to_dict(libpq_url(url)).get("password"))


_OPTIONS = {
    name: f"--{name.removeprefix('p_').replace('_', '-')}"
    for name in (
        "p_force", "p_include_backfill", "p_dry_run", "p_reason", "p_label", "p_barrier_atr", "p_horizon", "p_since",
        "p_until", "p_limit",
    )
}  # fmt: skip
"""Parameters of the database's functions, and the options of the command line that give them."""


def with_options(said: str) -> str:
    """Return what the server said with the options of the command line for the parameters of its functions."""
    return re.sub(r"\b(p_[a-z_]+)( => true)?(?!\w)", lambda found: _OPTIONS.get(found[1], found[0]), said)


def sentence_of(error: BaseException | None, *, capital: bool = True) -> str:
    """Return what the server said, as a sentence; for a right that is missing, with what to do about it."""
    diagnostics = getattr(error, "diag", None)
    said = getattr(diagnostics, "message_primary", None) or str(error).strip().partition("\n")[0]
    hint = getattr(diagnostics, "message_hint", None)
    if getattr(error, "sqlstate", None) == INSUFFICIENT_PRIVILEGE:
        refused = re.fullmatch(r"permission denied for (.+)", said)
        if refused:
            return (
                f"This role has no right to use {refused[1]} as the command must: run it as the role that owns the "
                "tables, or have that role grant the right."
            )
        if said.startswith("must be "):
            return f"This role is not allowed to do that ({said}): run the command as the role that owns the tables."
    # A name stays as it is.
    first = said[:1].upper() if capital and "_" not in said.partition(" ")[0] else said[:1]
    said = f"{first}{said[1:].rstrip('.')}."
    return with_options(f"{said} {hint}" if hint else said)


def libpq_url(url: str, source: str = "The database URL") -> str:
    """Return a URL that every libpq program takes, or raise a UserError that does not repeat the password.

    SQLAlchemy's ``postgresql+driver://`` becomes ``postgresql://``; key=value strings stay as they are.
    """
    text = url.strip()
    if "://" in text:
        scheme, _, rest = text.partition("://")
        if not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme):
            raise UserError(f"{source} does not name a PostgreSQL database: write it like {_EXAMPLE}.")
        text = f"postgresql://{rest}"
    try:
        parts = conninfo_to_dict(text)
    except psycopg.Error:
        # libpq's own words may repeat a part of the password.
        raise UserError(_not_understood(source, text)) from None
    ports = str(parts.get("port") or "").split(",")
    if "@" in str(parts.get("host") or "") or not all(re.fullmatch(r"\d*", port) for port in ports):
        raise UserError(_not_understood(source, text))
    return text


def _not_understood(source: str, text: str) -> str:
    if "://" not in text:
        return f"{source} is not understood: write it like {_EXAMPLE}, or as host=... dbname=... user=..."
    return (
        f"{source} is not understood: write it like {_EXAMPLE}, with @ / % of a password written as "
        "%40 %2F %25, and only with options that PostgreSQL knows."
    )


def sqlalchemy_url(url: str) -> URL:
    """Return SQLAlchemy's form of a libpq URL or key=value string, with the driver psycopg."""
    from sqlalchemy import URL

    parts = {key: str(value) for key, value in conninfo_to_dict(libpq_url(url)).items() if value is not None}
    user, password, database = (parts.pop(key, None) for key in ("user", "password", "dbname"))
    host, port = parts.pop("host", None), parts.pop("port", None)
    query: dict[str, str | tuple[str, ...]] = dict(parts)
    if host and not re.fullmatch(r"[^/,@]+", host):
        # Socket folders and lists of hosts have no place in the authority.
        query["host"] = host
        if port and "," in port:
            query["port"] = port
            port = None
        host = None
    return URL.create("postgresql+psycopg", user, password, host, int(port) if port else None, database, query)


def connect(url: str, *, autocommit: bool = False, **options: Any) -> psycopg.Connection[Any]:
    """Connect with psycopg, under our application name and with a time limit unless the URL has its own.

    As with ``psycopg.connect``, a transaction is open from the first statement on unless ``autocommit`` is
    set, and ``with connect(url) as connection:`` commits it. Failing is a UserError without the password.
    """
    text = libpq_url(url)
    parts = {**conninfo_to_dict(text), **options}
    defaults: dict[str, Any] = {"application_name": APPLICATION}
    if not os.environ.get("PGCONNECT_TIMEOUT"):
        defaults["connect_timeout"] = CONNECT_TIMEOUT
    missing = {name: value for name, value in defaults.items() if name not in parts}
    try:
        return psycopg.connect(make_conninfo(text, **missing), autocommit=autocommit, **options)
    except psycopg.OperationalError as error:
        raise UserError(_explain(str(error), parts)) from error


def _explain(said: str, parts: dict[str, Any]) -> str:
    """Make one sentence of a refused connection: what is wrong and what to do."""
    for secret in (parts.get("password"), os.environ.get("PGPASSWORD")):
        if secret:
            said = said.replace(str(secret), "***")
    host = str(parts.get("host") or parts.get("hostaddr") or os.environ.get("PGHOST") or "the local socket")
    port = str(parts.get("port") or os.environ.get("PGPORT") or 5432)
    place = host if host.startswith("/") or " " in host else f"{host}:{port}"
    database = str(parts.get("dbname") or parts.get("user") or "")
    user = str(parts.get("user") or "")

    def any_of(*words: str) -> bool:
        return any(word in said for word in words)

    if any_of("password authentication failed", "no password supplied"):
        return f"The server at {place} refuses the password of {user or 'this user'}: correct the database URL."
    if re.search(r'database "[^"]*" does not exist', said):
        return f"The server at {place} has no database {database}: create it (createdb), or correct the URL."
    if re.search(r'role "[^"]*" does not exist', said):
        return f"The server at {place} has no role {user}: create it, or correct the user in the database URL."
    if any_of("resolve host", "Name or service not known", "could not translate host name"):
        return f"The host {host} is not known: correct the database URL or check the network."
    if any_of("Connection refused", "No such file or directory", "timeout expired", "timed out", "unreachable"):
        return f"No PostgreSQL server answers at {place}: start it, or correct the database URL."
    if any_of("starting up", "in recovery mode", "shutting down"):
        return f"The server at {place} is starting or stopping: try again in a moment."
    if any_of("too many clients", "remaining connection slots", "too many connections"):
        return f"The server at {place} has no free connection: close some, or raise max_connections."
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    reason = lines[-1] if lines else "no reason given"
    reason = re.sub(r"^.*(?:FATAL|failed|error): +", "", reason).rstrip(".")
    return f"The server at {place} refuses the connection ({reason}): correct the database URL or the server."
