"""URLs in every form that people have them in, and what is said when they do not work."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Literal
from sqlalchemy import create_engine, text

from trainer.database import APPLICATION, connect, libpq_url, resolve_url, sqlalchemy_url, with_options
from trainer.errors import UserError
from trainer.server import ThrowawayServer

# Everything that has a meaning in a URL, in a conninfo string, in a format string or in alembic.ini.
AWKWARD = "p%40@:/?#[]&=+ %(x)s'\"\\é"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PG") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def guarded() -> Iterator[ThrowawayServer]:
    """A server that wants a password from everybody but its owner."""
    rules = "local all postgres trust\nlocal all stranger trust\nlocal all all scram-sha-256\n"
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        access = Path(name, "hba")
        access.write_text(rules)
        Path(name).chmod(0o755)
        access.chmod(0o644)
        with ThrowawayServer({"hba_file": str(access)}) as server:
            prepare(server)
            yield server


def prepare(server: ThrowawayServer) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE trader LOGIN PASSWORD {}").format(Literal(AWKWARD)))
        connection.execute("CREATE DATABASE trades")


def url_with(server: ThrowawayServer, password: str, scheme: str = "postgresql", database: str = "trades") -> str:
    return f"{scheme}://trader:{quote(password, safe='')}@:5432/{database}?host={server.host}"


def complaint(url: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        connect(url, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


# ------------------------------------------------------------------------------------------------ resolving


def test_option_wins_over_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://environment/db")
    assert resolve_url("postgres://option/db") == "postgresql://option/db"
    assert resolve_url(None) == "postgresql://environment/db"
    assert resolve_url("  ") == "postgresql://environment/db"


@pytest.mark.parametrize("empty", [None, "", " "])
def test_embedded_server_when_nothing_is_named(monkeypatch: pytest.MonkeyPatch, empty: str | None) -> None:
    if empty is not None:
        monkeypatch.setenv("DATABASE_URL", empty)
    monkeypatch.setattr("trainer.server.EmbeddedServer.start", lambda _: "postgresql://embedded/db")
    assert resolve_url(None) == "postgresql://embedded/db"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://u:p@h:1/d", "postgresql://u:p@h:1/d"),
        ("postgresql://u:p@h:1/d?sslmode=require", "postgresql://u:p@h:1/d?sslmode=require"),
        ("postgresql+psycopg://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql+psycopg2://u:p@h/d", "postgresql://u:p@h/d"),
        (" postgresql://u@h/d\n", "postgresql://u@h/d"),
        ("host=h dbname=d password='a b'", "host=h dbname=d password='a b'"),
    ],
)
def test_accepted_forms(given: str, expected: str) -> None:
    assert libpq_url(given) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://u:hunter2@h/d",
        "https://u:hunter2@h/d",
        "sqlite:///hunter2.db",
        "hunter2",
        "/var/lib/hunter2",
        "postgresql://u:hunter2@@h/d",  # not percent-encoded: @ / %
        "postgresql://u:hun/ter2@h/d",
        "postgresql://u:hunter2%@h/d",
        "postgresql://u:hunter2@h/d?pgbouncer=true",
        "host=h password=hunter2 colour=red",
        "host=h password='hunter2",
    ],
)
def test_what_is_not_a_url(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = []
    for option, environment in ((wrong, ""), (None, wrong)):
        monkeypatch.setenv("DATABASE_URL", environment)
        with pytest.raises(UserError) as caught:
            resolve_url(option)
        sentences.append(str(caught.value))
        assert caught.value.__cause__ is None and caught.value.__suppress_context__ == (
            caught.value.__context__ is not None
        )
    assert sentences[0].startswith("--database-url ") and sentences[1].startswith("DATABASE_URL ")
    for sentence in sentences:
        assert "hun" not in sentence and "ter2" not in sentence
        assert sentence.endswith(".") and "\n" not in sentence
        assert "postgresql://user:password@host:5432/database" in sentence


# ---------------------------------------------------------------------------------------------- SQLAlchemy


ENCODED = quote(AWKWARD, safe="")
ESCAPED = AWKWARD.replace("\\", "\\\\").replace("'", "\\'")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://us%40r:{ENCODED}@db.example.com:6543/my%20db%25?sslmode=require",
        "postgres://u:p@127.0.0.1/d?connect_timeout=3&options=-c%20search_path%3Dml",
        "postgresql://u@[::1]:5432/d",
        "postgresql://u@one:1,two:2/d?target_session_attrs=read-write",
        "postgresql://u@:5432/d?host=/var/lib/some%20where/socket",
        f"host=/tmp port=5433 user=u dbname=d password='{ESCAPED}'",
        "service=production",
        "dbname=d",
    ],
)
def test_sqlalchemy_means_the_same_server(url: str) -> None:
    converted = sqlalchemy_url(url)
    assert converted.drivername == "postgresql+psycopg"
    engine = create_engine(converted)
    positional, named = engine.dialect.create_connect_args(converted)
    named.pop("context", None)
    assert not positional
    assert {key: str(value) for key, value in named.items()} == {
        key: str(value) for key, value in conninfo_to_dict(libpq_url(url)).items()
    }


# ----------------------------------------------------------------------------------------------- connecting


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_awkward_password(guarded: ThrowawayServer, scheme: str) -> None:
    url = url_with(guarded, AWKWARD, scheme)
    with connect(url) as connection:
        row = connection.execute("SELECT current_user, current_setting('application_name')").fetchone()
    assert row == ("trader", APPLICATION)
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_user")).scalar() == "trader"
    engine.dispose()


def test_key_value_string(guarded: ThrowawayServer) -> None:
    with connect(f"host={guarded.host} user=postgres dbname=trades") as connection:
        assert connection.info.dbname == "trades"


def test_url_and_arguments_win_over_our_defaults(guarded: ThrowawayServer) -> None:
    url = guarded.url("trades")
    with connect(f"{url}&application_name=mine&connect_timeout=77") as connection:
        assert connection.info.get_parameters()["application_name"] == "mine"
        assert connection.info.get_parameters()["connect_timeout"] == "77"
    with connect(url, application_name="argument", autocommit=True) as connection:
        assert connection.info.get_parameters()["application_name"] == "argument"
        assert connection.autocommit
    with connect(url) as connection:
        assert not connection.autocommit
        assert connection.info.get_parameters()["connect_timeout"] == "10"


def test_wrong_password(guarded: ThrowawayServer) -> None:
    sentence = complaint(url_with(guarded, "hunter2"))
    assert "refuses the password of trader" in sentence and "hunter2" not in sentence
    assert "refuses the password of trader" in complaint(f"postgresql://trader@/trades?host={guarded.host}")


def test_unknown_database_and_role(guarded: ThrowawayServer) -> None:
    assert "no database nowhere" in complaint(url_with(guarded, AWKWARD, database="nowhere"))
    assert "no role stranger" in complaint(f"postgresql://stranger@/trades?host={guarded.host}")


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    sentence = complaint(f"postgresql://u:hunter2@127.0.0.1:{port}/d")
    assert sentence.startswith(f"No PostgreSQL server answers at 127.0.0.1:{port}: ")
    assert f"answers at {tmp_path}: " in complaint(f"postgresql://u:hunter2@/d?host={tmp_path}")
    assert "host nowhere.invalid is not known" in complaint("postgresql://u:hunter2@nowhere.invalid/d")


def test_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "No PostgreSQL server answers" in complaint(f"postgresql://u@127.0.0.1:{port}/d", connect_timeout=2)


def test_server_that_is_full(guarded: ThrowawayServer) -> None:
    with psycopg.connect(guarded.url("postgres"), autocommit=True) as connection:
        connection.execute("ALTER ROLE trader CONNECTION LIMIT 0")
        try:
            assert "no free connection" in complaint(url_with(guarded, AWKWARD))
        finally:
            connection.execute("ALTER ROLE trader CONNECTION LIMIT -1")


def test_server_without_encryption(guarded: ThrowawayServer) -> None:
    """What no rule of ours knows is said in the server's own words, without the password."""
    with psycopg.connect(guarded.url("postgres"), autocommit=True) as connection:
        connection.execute("ALTER DATABASE trades ALLOW_CONNECTIONS false")
        try:
            sentence = complaint(url_with(guarded, AWKWARD))
            assert "is not currently accepting connections" in sentence
        finally:
            connection.execute("ALTER DATABASE trades ALLOW_CONNECTIONS true")


def test_password_is_cut_out_of_what_a_server_says() -> None:
    from trainer.database import _explain

    said = 'connection failed: FATAL:  strange: hunter2 is wrong for "u"'
    assert "hunter2" not in _explain(said, {"host": "h", "password": "hunter2"})
    assert "***" in _explain(said, {"host": "h", "password": "hunter2"})


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("pass p_force => true with a reason.", "pass --force with a reason."),
        ("(backfilled ones take p_include_backfill => true)", "(backfilled ones take --include-backfill)"),
        (
            "take one of TB2, or give p_barrier_atr and p_horizon",
            "take one of TB2, or give --barrier-atr and --horizon",
        ),
        # What is no option, and names that only begin alike, stay as they are.
        ("p_at is NULL; my_p_force, p_forced, p_force_all", "p_at is NULL; my_p_force, p_forced, p_force_all"),
    ],
)
def test_parameters_are_said_as_options(said: str, heard: str) -> None:
    assert with_options(said) == heard
