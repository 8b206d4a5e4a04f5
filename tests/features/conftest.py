"""The shipped bars in one database for all tests that change nothing, and the table of differences to the oracle."""

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from feature_data import load_shipped_bars


@pytest.fixture(scope="session")
def shipped(pg_migrated: Any) -> Iterator[psycopg.Connection[Any]]:
    """Connect to a database with the shipped bars; tests leave it as it is (they roll back what they change)."""
    name = f"pattern_features_{secrets.token_hex(4)}"
    about = {
        "host": pg_migrated.host,
        "port": pg_migrated.port,
        "user": pg_migrated.user,
        "password": pg_migrated.password,
    }
    with psycopg.connect(**about, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {pg_migrated.template_dbname}")
        try:
            with psycopg.connect(**about, dbname=name, autocommit=True) as connection:
                load_shipped_bars(connection)
                yield connection
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show how far features are from the oracle: the worst five, all of them with -v."""
    table = getattr(config, "feature_differences", None)
    if table is None:
        return
    verbose = config.get_verbosity() > 0
    shown = table if verbose else table.nlargest(5, "relative")
    terminalreporter.section("largest differences between features and oracle")
    terminalreporter.write_line(shown.to_string(float_format=lambda value: f"{value:.3g}"))
