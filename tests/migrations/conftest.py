"""Databases that are migrated step by step."""

from collections.abc import Callable

import pytest
from alembic import command

from trainer.migrations import alembic_config


@pytest.fixture
def upgrade(empty_db_url) -> Callable[[str], None]:
    """Return the function that upgrades the empty database to a revision."""
    return lambda revision="head": command.upgrade(alembic_config(empty_db_url), revision)


@pytest.fixture
def downgrade(empty_db_url) -> Callable[..., None]:
    """Return the function that downgrades it, by default with leave to delete data."""

    def run(revision: str, drop_data: bool = True) -> None:
        config = alembic_config(empty_db_url)
        config.cmd_opts = type("Options", (), {"x": ["drop_data=yes"] if drop_data else []})()
        command.downgrade(config, revision)

    return run
