"""Bring a database to the current schema with Alembic."""

from alembic import command
from alembic.config import Config

from trainer.resources import resource


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for the database at ``url``, wherever the package is installed."""
    config = Config(resource("alembic.ini"))
    config.attributes["url"] = url
    config.attributes["configure_logging"] = False
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade the database at ``url`` to a revision; does nothing when it is there already."""
    command.upgrade(alembic_config(url), revision)
