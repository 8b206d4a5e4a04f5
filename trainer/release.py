"""Stage release: from a fitted local model to ``generated/vNNNN`` and the Alembic revision that installs it."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import psycopg.sql
import typer
from numpy.typing import NDArray

from trainer.artefact import ModelArgument, ModelFolder, find_model, released_folders
from trainer.cli import DatabaseUrl
from trainer.compile import compile_folder
from trainer.database import connect, resolve_url
from trainer.errors import UserError
from trainer.resources import resource
from trainer.sql import package_text, statement
from trainer.verify import verify


def release(
    connection: psycopg.Connection[Any], folder: ModelFolder, training_rows: NDArray[np.float64]
) -> tuple[ModelFolder, Path]:
    """Release a fitted model under the next version; return its folder and the revision's file.

    The model is compiled under its new name and verified in the database of ``connection``, in which nothing is left
    behind. Works in a clone only: an installed package has no place to keep a release.
    """
    if resource().name == "_bundled":
        raise UserError("A release is made in a clone of the repository: run it there, with `pip install -e .`.")
    number = 1 + max((int(released.version[1:]) for released in released_folders()), default=0)
    target = ModelFolder(resource("generated", f"v{number:04d}"))
    target.path.mkdir(parents=True)
    try:
        for name in ("model.joblib", "model_card.json", "calibrator.json", "evaluation.json"):
            shutil.copyfile(folder.path / name, target.path / name)
        compile_folder(target)
        _write_installation(target)
        verify(connection, target, training_rows)
        (target.path / "model.joblib").unlink()  # a joblib file runs code, so none is shipped
        revision = _write_revision(target)
    except BaseException:
        shutil.rmtree(target.path)
        raise
    return target, revision


def _write_installation(folder: ModelFolder) -> None:
    """Add to ``register.sql`` what to record and who is live at first, and write ``remove.sql``, its opposite."""
    version = folder.version
    record = psycopg.sql.SQL("SELECT ml.record_functions({});\n").format(psycopg.sql.Literal(version))
    first = psycopg.sql.SQL(statement("first_champion").decode()).format(
        version=psycopg.sql.Literal(version), calibrator_version=psycopg.sql.Literal(f"{version}-1")
    )
    registration = folder.read_text("register.sql", "compile")
    folder.write_text("register.sql", registration + record.as_string(None) + first.as_string(None))
    remove = psycopg.sql.SQL(statement("remove_model").decode()).format(
        version=psycopg.sql.Literal(version),
        version_text=psycopg.sql.SQL(version),
        drops=psycopg.sql.SQL("\n".join(f"DROP FUNCTION {name};" for name in _functions(folder))),
    )
    folder.write_text("remove.sql", remove.as_string(None))


def _functions(folder: ModelFolder) -> list[str]:
    """Return the signatures of all functions that ``score.sql`` creates, the last one first."""
    signatures = re.findall(r"^COMMENT ON FUNCTION (.+) IS$", folder.read_text("score.sql", "compile"), re.MULTILINE)
    return list(reversed(signatures))


def _write_revision(folder: ModelFolder) -> Path:
    versions = resource("alembic", "versions")
    head = max(int(match[1]) for file in versions.glob("*.py") if (match := re.match(r"(\d{4})_", file.name)))
    template = package_text("model_revision.py.template")
    hashes = {
        name: hashlib.sha256((folder.path / f"{name}.sql").read_bytes()).hexdigest()
        for name in ("score", "register", "remove")
    }
    file = versions / f"{head + 1:04d}_model_{folder.version}.py"
    file.write_text(
        template.format(version=folder.version, revision=f"{head + 1:04d}", down_revision=f"{head:04d}", **hashes),
        encoding="utf-8",
    )
    return file


def command(model: ModelArgument = None, database_url: DatabaseUrl = None) -> None:
    """Release a fitted model into generated/ with its revision; in a clone only."""
    from trainer.dataset import load_dataset

    with connect(resolve_url(database_url), autocommit=True) as connection:
        target, revision = release(connection, find_model(model), load_dataset(connection).features)
    typer.echo(
        f"{target.version}  released\n{target.path}\n{revision}\nCommit both, then run `python -m trainer migrate`."
    )
