"""The folder of one model: what each stage leaves there and the next one reads.

===================  ===========  ==========================================================================
file                 written by   content
===================  ===========  ==========================================================================
``model.joblib``     fit          the fitted estimator (stays on the machine, is not released)
``calibrator.json``  fit          the calibrator: ``method`` with ``a`` and ``b``, or ``knots_x`` and ``knots_y``
``evaluation.json``  evaluate     metrics with confidence intervals beside the baselines
``model_card.json``  fit          what the model is, what it was trained on, golden rows; ``model_card.md`` to read it
``score.sql``        compile      the compiled functions
``register.sql``     compile      the registry rows: model and calibrator
``parity.json``      verify       figures of the comparison with the library in the target database
===================  ===========  ==========================================================================

The folder's name is the model's version: ``local-<hash8>`` for what was fitted on a machine, ``v0001`` and so on for
what was released into ``generated/``.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from trainer.errors import UserError
from trainer.resources import resource
from trainer.server import HOME_VARIABLE, home_folder

ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A version, or a model's folder; default: the newest model that was fitted on this machine.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder; reading a file that a stage has not made yet says which stage to run."""

    path: Path

    @property
    def version(self) -> str:
        """The model's version."""
        return self.path.name

    def read_json(self, name: str, stage: str) -> dict[str, Any]:
        """Return a JSON file of the folder, or raise a UserError naming the stage that makes it."""
        return dict(json.loads(self.read_text(name, stage)))

    def read_text(self, name: str, stage: str) -> str:
        """Return a text file of the folder, or raise a UserError naming the stage that makes it."""
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"{self.path} has no {name}: run `trainer {stage}` first.") from None

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file of the folder, readable and with a stable order of keys."""
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (self.path / name).write_text(text, encoding="utf-8")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the folder."""
        (self.path / name).write_text(text, encoding="utf-8", newline="\n")

    @property
    def card(self) -> dict[str, Any]:
        """The model card."""
        return self.read_json("model_card.json", "fit")

    def load_estimator(self) -> Any:
        """Return the fitted estimator. A joblib file runs code when it is loaded: use only folders of your own."""
        file = self.path / "model.joblib"
        if not file.exists():
            raise UserError(f"{self.path} has no model.joblib: run `trainer fit` first.")
        return load_joblib(file)

    @property
    def is_released(self) -> bool:
        """Whether this is a released model: its folder is shipped and never changes."""
        return re.fullmatch(r"v\d{4}", self.version) is not None


def refuse_released(folder: ModelFolder) -> None:
    """Raise a UserError for a released model, whose files no stage may write."""
    if folder.is_released:
        raise UserError(
            f"{folder.version} is a released model: its SQL is final, and `python -m trainer migrate` installs it."
        )


def load_joblib(file: Path) -> Any:
    """Return what a joblib file holds, or raise a UserError. Loading runs code: use only files that you trust."""
    import joblib

    try:
        return joblib.load(file)
    except ModuleNotFoundError as error:
        raise UserError(f"{file} needs the package {error.name}: install it in this environment.") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever bytes that are no pickle make of the unpickler
        raise UserError(
            f"{file} cannot be loaded as a joblib file ({type(error).__name__}): give a model that joblib.dump has "
            "written, with the same library versions."
        ) from error


def released_folders() -> list[ModelFolder]:
    """Return the released models, oldest first."""
    return [ModelFolder(path) for path in sorted(resource("generated").glob("v[0-9][0-9][0-9][0-9]"))]


def models_folder() -> Path:
    """Return the folder that holds the models fitted on this machine."""
    return home_folder() / "models"


def require_writable_home() -> None:
    """Raise a UserError when no model could be written on this machine; to be asked before long work.

    Nothing is made: the server, started later, sets the permissions of the home folder itself.
    """
    folder = models_folder()
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        problem = "is not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem = "is not writable"
    else:
        return
    raise UserError(
        f"Models are kept in {models_folder()}, but {folder} {problem}: correct that, or set {HOME_VARIABLE} to a "
        "folder of yours."
    )


def find_model(name: str | None) -> ModelFolder:
    """Return the folder of a model by version or path, or the newest local one; a miss is a UserError."""
    if name is None:
        local = [path for path in models_folder().glob("local-*") if path.is_dir()]
        if not local:
            raise UserError("No model has been fitted on this machine: run `trainer fit` first.")
        return ModelFolder(max(local, key=lambda path: path.stat().st_mtime))
    for path in (Path(name), models_folder() / name, resource("generated", name)):
        if path.is_dir():
            return ModelFolder(path.resolve())
    raise UserError(f"There is no model {name}: give a folder, or a version from {models_folder()}.")
