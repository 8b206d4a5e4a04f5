"""Stage 4 of a model's way: what the predictions of unseen events are worth, beside what costs nothing.

The figures, the sentences and the page are made in ``trainer.evaluation``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from trainer.artefact import ModelArgument, ModelFolder, find_model
from trainer.cli import AsJson
from trainer.errors import UserError
from trainer.evaluation.checks import spacing_checks
from trainer.evaluation.conclusions import describe_calibrator, not_shown, shown
from trainer.evaluation.figures import evaluate
from trainer.evaluation.holdout_record import record_look
from trainer.evaluation.tables import print_evaluation
from trainer.search import describe_choice, describe_search

__all__ = [
    "describe_calibrator",
    "evaluate",
    "evaluate_command",
    "evaluate_folder",
    "not_shown",
    "print_evaluation",
    "shown",
    "stored_evaluation",
]

REPORT = "report.html"
"""The page that ``trainer report`` makes of an evaluation."""


def evaluate_folder(folder: Path) -> dict[str, Any]:
    """Evaluate the predictions that a fit left in a folder, and write ``evaluation.json`` there.

    The look at the holdout is recorded beside the folder; a page made of earlier figures is removed.

    Raises:
        UserError: the folder holds no fit.
    """
    try:
        description = json.loads((folder / "dataset.json").read_text())
        predictions = pd.read_csv(folder / "predictions.csv.gz", parse_dates=["detected_at"])
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {Path(error.filename).name}: run `trainer fit` first.") from None
    if "planted" not in predictions or "last_choosing_outcome" not in description["holdout"]:
        raise UserError(f"{folder} was fitted by an earlier version of the trainer: run `trainer fit` again.")
    champion, configuration = description["champion"], description["configuration"]
    figures = evaluate(
        predictions,
        threshold=description["recommended_threshold"]["value"],
        candidates=len(champion["candidates"]),
        calibrator=description["calibrator"]["method"],
        confidence_threshold=configuration["confidence_threshold"],
        span=description["span"],
        label=description["dataset"]["label"],
        label_kind=description["dataset"].get("label_kind"),
        checks=spacing_checks(description),
        uses=record_look(folder.parent, description),
    )
    evaluation = {
        "version": description["version"],
        "champion": champion["name"],
        **figures,
        "data": {
            **{name: value for name, value in description["dataset"].items() if name != "feature_names"},
            "features": len(description["dataset"]["feature_names"]),
            "training": description["training"],
            "holdout": description["holdout"],
            "purged_events": description["purged_events"],
        },
        "protocol": {
            "walk_forward": description["walk_forward"],
            **{
                name: configuration[name]
                for name in ("folds", "first_train_share", "holdout_share", "embargo_bars", "seed")
            },
            "blend": {name: configuration[name] for name in ("ml_weight", "rule_weight")},
            "champion_rule": champion["rule"],
            "hyperparameters": champion["parameters"],
            "calibrator_rule": description["calibrator"]["rule"],
            "calibrator_table": description["calibrator"]["methods"],
            "threshold_rule": description["recommended_threshold"]["rule"],
            "configuration_sha256": description["configuration_sha256"],
            "library_versions": {"python": description["python"], **configuration["libraries"]},
        },
        "candidate_table": champion["candidates"],
        "candidate_notes": [
            *([describe_search(champion["search"])] if champion["search"] else []),
            describe_choice(champion["choice"]),
        ],
        "warnings": description["provenance"]["warnings"],
    }
    (folder / REPORT).unlink(missing_ok=True)
    ModelFolder(folder).write_json("evaluation.json", evaluation)
    return evaluation


def stored_evaluation(folder: Path) -> dict[str, Any] | None:
    """Return the evaluation of a released model, whose folder holds nothing to compute it from; None for others."""
    if any((folder / name).exists() for name in ("dataset.json", "predictions.csv.gz")):
        return None
    if not (folder / "evaluation.json").exists():
        return None
    return ModelFolder(folder).read_json("evaluation.json", "fit")


def evaluate_command(
    model: ModelArgument = None,
    as_json: AsJson = False,
) -> None:
    """Say what a fitted model is worth on events it had not seen, beside what costs nothing."""
    folder = find_model(model).path
    stored = stored_evaluation(folder)
    evaluation = stored or evaluate_folder(folder)
    if as_json:
        typer.echo(json.dumps(evaluation))
        return
    if stored:
        typer.echo(f"{folder.name}, as evaluated before its release:")
    print_evaluation(evaluation)
    typer.echo(f"next: trainer report{f' {model}' if model else ''} --open, a page with plots")
