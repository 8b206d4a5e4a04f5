"""SQL statements of the trainer, one per file; database objects live in the top-level folder ``sql/``."""

from pathlib import Path


def statement(name: str) -> bytes:
    """Return the statement in ``<name>.sql`` as psycopg takes it."""
    return Path(__file__).with_name(f"{name}.sql").read_bytes()


def package_text(name: str) -> str:
    """Return another file of this folder, by its full name, as text."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
