"""Stage report: the evaluation of a model as one HTML page with plots, which works offline."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from trainer.artefact import ModelArgument, ModelFolder, find_model
from trainer.errors import UserError
from trainer.evaluate import REPORT
from trainer.evaluation.page import render


def write_report(folder: ModelFolder, output: Path | None = None) -> Path:
    """Write the page of a model and return its path: by default ``report.html`` in the model's folder.

    A released model's folder never changes: its page goes to the current folder.

    Raises:
        UserError: the model is not evaluated, a package is missing, or the file cannot be written.
    """
    page = render(folder.read_json("evaluation.json", "evaluate"))
    file = output or (Path(f"{folder.version}-{REPORT}") if folder.is_released else folder.path / REPORT)
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}): name another file with --output.") from None
    return file.resolve()


def command(
    model: ModelArgument = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to write the page.", show_default=False)
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write the evaluation of a model as one HTML page with plots, which works offline."""
    file = write_report(find_model(model), output)
    typer.echo(str(file))
    if show and not webbrowser.open(file.as_uri()):
        typer.echo("No browser was found: open the file yourself.")
