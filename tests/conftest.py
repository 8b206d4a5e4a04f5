"""Databases for tests.

One server per session: the one that ``DATABASE_URL`` names, else a throw-away embedded server. Every test
gets a database of its own, cloned from a template in milliseconds:

- ``db``: a connection to a clone of the migrated database (``alembic upgrade head``);
- ``empty_db``: a connection to a fresh database with nothing in it;
- ``db_url``, ``empty_db_url``: the same databases by URL, for more connections or for the command line;
- ``url_of(connection)``: the URL of the database that a connection is connected to.

The connections are in autocommit mode, as psql is: what a test does is visible to its other connections at
once, and a statement that is expected to fail does not spoil the rest. ``with db.transaction():`` makes a
transaction where one is meant.
"""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from pytest_postgresql import factories


def pytest_configure() -> None:
    """Take Ctrl-C even in the background of a shell, where it is ignored: tests interrupt programs that inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def build_url(host: str, port: int, user: str, dbname: str, password: str | None = None) -> str:
    """Return a libpq URL; a socket folder as the host is fine."""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return f"postgresql://{login}@:{port}/{quote(dbname, safe='')}?host={quote(host, safe='/')}"


@pytest.fixture(scope="session")
def pg_server() -> Iterator[Any]:
    """Yield the server of this session as pytest-postgresql wants it described."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        from trainer.server import ThrowawayServer

        with ThrowawayServer() as server:
            yield server
        return
    given = conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1))
    described = {"host", "port", "user", "password", "dbname"}
    with pytest.MonkeyPatch.context() as environment:
        # pytest-postgresql has no arguments for sslmode and the like; libpq reads them from here.
        for option in Conninfo.get_defaults():
            name = option.keyword.decode()
            if option.envvar and name in given and name not in described:
                environment.setenv(option.envvar.decode(), str(given[name]))
        yield SimpleNamespace(
            host=given.get("host", "localhost"),
            port=int(given.get("port", 5432)),
            user=given.get("user", os.environ.get("PGUSER", "postgres")),
            password=given.get("password", os.environ.get("PGPASSWORD")),
            options="",
            template_dbname=None,
            maintenance_dbname=given.get("dbname", "postgres"),
        )


def migrate(host: str, port: int, user: str, dbname: str, password: str | None = None, **_: Any) -> None:
    """Bring the template database to head; runs once a session."""
    from alembic import command

    from trainer.migrations import alembic_config

    command.upgrade(alembic_config(build_url(host, int(port), user, dbname, password)), "head")


# Random names keep two sessions on one shared server apart.
_RUN = secrets.token_hex(4)
pg_migrated = factories.postgresql_noproc(dbname=f"pattern_test_{_RUN}", depends_on="pg_server", load=[migrate])
pg_empty = factories.postgresql_noproc(dbname=f"pattern_empty_{_RUN}", depends_on="pg_server")
_migrated_clone = factories.postgresql("pg_migrated")
_empty_clone = factories.postgresql("pg_empty")


def _url_of(connection: psycopg.Connection[Any]) -> str:
    about = connection.info
    return build_url(about.host, about.port, about.user, about.dbname, about.password)


@pytest.fixture(scope="session")
def url_of() -> Callable[[psycopg.Connection[Any]], str]:
    """Return the function that gives the URL of a connection's database."""
    return _url_of


@pytest.fixture
def db(_migrated_clone: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Connect to a clone of the migrated database, in autocommit mode."""
    _migrated_clone.autocommit = True
    return _migrated_clone


@pytest.fixture
def empty_db(_empty_clone: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Connect to a fresh, empty database, in autocommit mode."""
    _empty_clone.autocommit = True
    return _empty_clone


@pytest.fixture
def db_url(db: psycopg.Connection[Any]) -> str:
    """Return the URL of the database of ``db``."""
    return _url_of(db)


@pytest.fixture
def empty_db_url(empty_db: psycopg.Connection[Any]) -> str:
    """Return the URL of the database of ``empty_db``."""
    return _url_of(empty_db)
