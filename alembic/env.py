"""Run the migrations online, or write them as one SQL script with ``--sql``."""

from logging.config import fileConfig

import frozen_objects  # noqa: F401  registers op.install_object and its relatives
from alembic import context
from sqlalchemy import create_engine, pool, text
from sqlalchemy.engine import Connection

CREATE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS ml"  # alembic_version lives in it, so it precedes the first revision
OPTIONS = {"version_table_schema": "ml", "transaction_per_migration": False}


def run_offline() -> None:
    """Write the statements to the output instead of running them."""
    context.configure(dialect_name="postgresql", literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.get_context().impl.static_output(CREATE_SCHEMA + ";\n")
        context.run_migrations()


def run_on(connection: Connection) -> None:
    """Run the migrations in one transaction."""
    # Writers are never held up behind a migration that itself waits for a lock.
    connection.execute(text("SET lock_timeout = '10s'"))
    # Two deployments at once: the second waits, and then finds nothing left to do.
    connection.execute(text("SELECT pg_advisory_lock(hashtextextended('pattern-confidence migration', 0))"))
    try:
        connection.execute(text(CREATE_SCHEMA))
        connection.commit()
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(hashtextextended('pattern-confidence migration', 0))"))
        connection.commit()


def run_online() -> None:
    """Connect and run the migrations."""
    from trainer.database import resolve_url, sqlalchemy_url

    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    engine = create_engine(sqlalchemy_url(resolve_url(url)), poolclass=pool.NullPool)
    with engine.connect() as connection:
        run_on(connection)
    engine.dispose()


if context.config.config_file_name and context.config.attributes.get("configure_logging", True):
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)

if context.is_offline_mode():
    run_offline()
else:
    run_online()
