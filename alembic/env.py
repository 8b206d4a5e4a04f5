"""Run the migrations online, or write them as one SQL script with ``--sql``."""

from logging.config import fileConfig

import frozen_objects  # noqa: F401  registers op.install_object and its relatives
from alembic import context
from alembic.util import CommandError
from sqlalchemy import create_engine, pool, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

CREATE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS ml"  # alembic_version lives in it, so it precedes the first revision
OPTIONS = {"version_table_schema": "ml", "transaction_per_migration": False}
LOCK = "hashtextextended('pattern-confidence migration', 0)"

# What the migrations refuse with a sentence of their own, and what only the user can mend.
REFUSALS = ("55000", "42P07", "42710", "42501")
LOCK_TIMEOUT = "55P03"


def run_offline() -> None:
    """Write the statements to the output instead of running them."""
    context.configure(dialect_name="postgresql", literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.get_context().impl.static_output(CREATE_SCHEMA + ";\n")
        context.run_migrations()


def run_on(connection: Connection) -> None:
    """Run the migrations in one transaction; a refusal by the database is a ``CommandError`` with its sentence."""
    # Two deployments at once: the second waits as long as it takes, and then finds nothing left to do.
    connection.execute(text("SET lock_timeout = 0"))
    connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
    connection.commit()
    try:
        # Writers are never held up for long behind a migration that itself waits for a lock.
        connection.execute(text("SET lock_timeout = '3s'"))
        connection.execute(text(CREATE_SCHEMA))
        connection.commit()
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
    except DBAPIError as error:
        if connection.invalidated:
            raise
        connection.rollback()
        sentence = refusal(connection, error)
        if sentence is None:
            raise
        raise CommandError(sentence) from error
    finally:
        # A connection that is gone has taken its lock along.
        if not connection.invalidated:
            connection.rollback()
            connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))
            connection.commit()


def refusal(connection: Connection, error: DBAPIError) -> str | None:
    """Return the sentence of a refusal, or None for an error that is not one."""
    from trainer.database import sentence_of
    from trainer.sql import statement

    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate in REFUSALS:
        return sentence_of(error.orig, capital=False)  # it may start with the name of an object
    if sqlstate != LOCK_TIMEOUT:
        return None
    holders = connection.exec_driver_sql(statement("lock_holders").decode()).scalar()
    who = f"Another session holds a lock on {holders}" if holders else "Another session held a lock on a table of ours"
    return f"{who}: nothing was changed, try again when it has finished."


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
