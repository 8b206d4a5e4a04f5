"""The model card: what a model is, what it was made of, what it is for, and what it is not for.

``trainer fit`` writes it, ``trainer compile`` adds the artefact's hash, the registry keeps it. A card with a
missing part is refused, so that no model goes live undescribed. ``model_card.json`` is the card; ``model_card.md`` is
the same to read, with the sections that skops and Hugging Face have.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from trainer import __version__
from trainer.artefact import ModelFolder
from trainer.card_markdown import render_card
from trainer.dataset import CLASSES, OUTCOMES
from trainer.errors import UserError
from trainer.evaluate import describe_calibrator, not_shown
from trainer.evaluation.names import ranks_by, win_against
from trainer.provenance import SYNTHETIC_WARNING, find_placeholder
from trainer.search import describe_choice
from trainer.sql import package_text

NOT_EXPLAINED = "Its scores come without an explanation: ml_predictions.contributions stays NULL."
NO_AUTHOR = "Nobody was named when it was fitted."
INTENDED_USE = (
    "Ranking chart-pattern events of the kinds, timeframes and markets it was trained on by {ranks_by}, blended with "
    "the rule's confidence, as one input among others of a person's decision."
)
LIMITATIONS = (
    "Costs, slippage and position size are in none of its figures; none is a claim of profit.",
    "Only the series in its training data are in its figures: no other market or timeframe, and no symbol that "
    "ceased to exist unless its bars were loaded.",
    "It was fitted once and does not learn from later events.",
)
"""What is true of every model by construction; ``build_card`` adds what the holdout does not show."""

TRAINING_PROCEDURE = (
    "Candidates are fitted on expanding, purged and embargoed walk-forward blocks and compared on the events of the "
    "block that follows, those left out whose label window ends within the embargo before the holdout or later; the "
    "champion is fitted once on everything before the holdout, which it then predicts and on which nothing was chosen. "
    "The calibrator and the recommended threshold are learnt from the same walk-forward predictions. "
    "That fitted model is the one in the registry: its figures are its own."
)
# What a card must say, and of which type.
REQUIRED: dict[str, type | tuple[type, ...]] = {
    "version": str,
    "description": str,
    "data_source": dict,
    "authors": list,
    "contact": str,
    "citation": str,
    "license": str,
    "get_started": list,
    "training_procedure": str,
    "algorithm": str,
    "classes": list,
    "target": str,
    "label": dict,
    "feature_names": list,
    "feature_names_sha256": str,
    "hyperparameters": dict,
    "champion_rule": str,
    "candidates": list,
    "choice": dict,
    "data_window": dict,
    "training": dict,
    "holdout": dict,
    "series": list,
    "protocol": dict,
    "dataset_sha256": str,
    "configuration_sha256": str,
    "library_versions": dict,
    "calibrator": dict,
    "recommended_threshold": (int, float),
    "recommended_threshold_rule": str,
    "metrics": dict,
    "conclusions": list,
    "golden_rows": list,
    "intended_use": str,
    "limitations": list,
}
# What holds names of symbols, patterns and features, which are no card's texts, or is computed.
_NAMES = ("description", "example", "get_started", "series", "feature_names", "missing_share", "golden_rows")


def build_card(description: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    """Make the card from what a fit says about itself (``dataset.json``) and its evaluation."""
    dataset, champion, protocol = (description[name] for name in ("dataset", "champion", "configuration"))
    label, kind, source = dataset["label"], dataset.get("label_kind"), description["provenance"]
    card: dict[str, Any] = {
        "version": description["version"],
        "description": _described(description),
        "warnings": source["warnings"],
        "data_source": {"description": source["data_source"], "known_by": source["known_by"]},
        "synthetic": source["synthetic"],
        "authors": list(source["authors"]) or [NO_AUTHOR],
        "contact": source["contact"],
        "license": source["license"],
        "algorithm": champion["family"],
        "champion": champion["name"],
        "classes": list(CLASSES),
        "target": f"probability of {win_against(label, kind, dataset['class_counts'])}",
        "label": {
            "name": label,
            "definition": dataset.get("label_definition") or f"As whoever wrote the label_source {label} defined it.",
        },
        "feature_names": dataset["feature_names"],
        "feature_names_sha256": hash_of_names(dataset["feature_names"]),
        "hyperparameters": champion["parameters"],
        "champion_rule": champion["rule"],
        "candidates": champion["candidates"],
        "choice": champion["choice"],
        "search": champion["search"],
        "microseconds_per_row": champion["microseconds_per_row"],
        "training_procedure": TRAINING_PROCEDURE,
        "data_window": description["training"]["data_window"],
        "training": description["training"],
        "holdout": description["holdout"],
        "purged_events": description["purged_events"],
        "left_out_events": dataset["left_out"],
        "series": dataset["series"],
        "missing_share": dataset["missing_share"],
        "protocol": {
            name: protocol[name] for name in ("folds", "first_train_share", "holdout_share", "embargo_bars", "seed")
        }
        | {"walk_forward": description["walk_forward"]},
        "dataset_sha256": dataset["sha256"],
        "configuration_sha256": description["configuration_sha256"],
        "library_versions": {"python": description["python"], **protocol["libraries"]},
        "calibrator": description["calibrator"],
        "recommended_threshold": description["recommended_threshold"]["value"],
        "recommended_threshold_rule": description["recommended_threshold"]["rule"],
        "blend": {name: protocol[name] for name in ("ml_weight", "rule_weight", "confidence_threshold")},
        "metrics": {part: _metrics(evaluation[part]) for part in ("walk_forward", "holdout")},
        "conclusions": evaluation["conclusions"],
        "golden_rows": description["golden_rows"],
        "intended_use": INTENDED_USE.format(ranks_by=ranks_by(label, kind)),
        "limitations": [
            *source["warnings"],
            *LIMITATIONS,
            describe_calibrator(description["calibrator"]["method"]),
            describe_choice(champion["choice"]),
            *not_shown(evaluation["holdout"]),
        ],
        "example": description["example"],
    }
    return {**card, **_named_after(card)}


def _described(description: dict[str, Any]) -> str:
    dataset = description["dataset"]
    series = dataset["series"]
    symbols = sorted({item["symbol"] for item in series})
    timeframes = sorted({item["timeframe"] for item in series})
    return (
        f"A binary classifier ({description['champion']['title']}) that gives a chart-pattern event the probability of "
        f"the outcome win by the label {dataset['label']}, from {len(dataset['feature_names'])} features of the bars "
        f"up to the event. It was fitted on {description['training']['events']:,} events of {', '.join(symbols)} "
        f"({', '.join(timeframes)}), is compiled to PL/pgSQL and scores inside PostgreSQL."
    )


def _named_after(card: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of the card that contain the version: a release gives the model another one."""
    version, example = card["version"], card["example"]
    sql = package_text("get_started.sql").format(
        **{name: str(value).replace("'", "''") for name, value in example.items()},
        version=version,
        threshold=card["recommended_threshold"],
    )
    return {
        "citation": (
            f"pattern-confidence {__version__}, model {version}, fitted on data up to "
            f"{card['data_window']['end'][:10]} (SHA-256 of the data set {card['dataset_sha256'][:16]})."
        ),
        "get_started": [
            {
                "title": "Install it and make it the champion, in a shell",
                "language": "sh",
                "code": f"python -m trainer compile {version}\npython -m trainer verify {version}\n"
                f"python -m trainer deploy {version}\npython -m trainer promote {version}",
            },
            {"title": "Score an event, in SQL", "language": "sql", "code": sql.strip()},
        ],
    }


def _metrics(figures: dict[str, Any]) -> dict[str, Any]:
    names = (
        "events",
        "class_counts",
        "base_rate",
        "auc",
        "auc_above",
        "auc_win_vs_loss",
        "auc_direction_sign",
        "by_direction",
        "auc_within_symbol",
        "brier",
        "brier_skill",
        "brier_skill_own_base_rate",
        "log_loss",
        "log_loss_skill",
        "log_loss_skill_own_base_rate",
        "ece",
    )
    return {name: figures[name] for name in names}


def hash_of_names(names: Sequence[str]) -> str:
    """Return the SHA-256 of names, one per line: order counts."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def validate_card(card: dict[str, Any], *, compiled: bool = False) -> None:
    """Refuse a card that is incomplete or contradicts itself; a compiled one must name its artefact.

    Raises:
        UserError: with every problem that was found.
    """
    problems = [
        f"{name} is missing" if name not in card else f"{name} is empty or of the wrong type"
        for name, kind in REQUIRED.items()
        if name not in card
        or not isinstance(card[name], kind)
        or isinstance(card[name], bool)
        or card[name] in ("", [], {})
    ]
    if not problems:
        texts = {name: value for name, value in card.items() if name not in _NAMES}
        problems = [*_contradictions(card), *_placeholders(texts, "card")]
    if compiled and not re.fullmatch(r"[0-9a-f]{64}", str(card.get("artefact_sha256"))):
        problems.append("artefact_sha256 is missing: compile the model")
    if problems:
        raise UserError(f"The model card of {card.get('version', 'this model')} is refused: {'; '.join(problems)}.")


def _contradictions(card: dict[str, Any]) -> list[str]:
    problems = []
    names = card["feature_names"]
    if not isinstance(card["data_source"].get("description"), str) or not card["data_source"].get("known_by"):
        problems.append("data_source does not say where the data come from, and how that is known")
    if card.get("synthetic", "missing") not in (None, True, False):
        problems.append("synthetic does not say true, false or, where nobody has said, null")
    elif card["synthetic"] and SYNTHETIC_WARNING not in card.get("warnings", []):
        problems.append("warnings do not say that the data are synthetic")
    if len(set(names)) != len(names):
        problems.append("feature_names has a name twice")
    if card["feature_names_sha256"] != hash_of_names(names):
        problems.append("feature_names_sha256 is not the hash of feature_names")
    if "win" not in card["classes"]:
        problems.append("classes has no win")
    for name in ("dataset_sha256", "configuration_sha256"):
        if not re.fullmatch(r"[0-9a-f]{64}", card[name]):
            problems.append(f"{name} is not a SHA-256")
    if not 0 < card["recommended_threshold"] < 1:
        problems.append("recommended_threshold is not between 0 and 1")
    for part in ("training", "holdout"):
        counts = card[part].get("class_counts", {})
        if set(counts) != set(OUTCOMES) or sum(counts.values()) != card[part].get("events"):
            problems.append(f"{part} does not count its events per outcome")
    try:
        start, end = (datetime.fromisoformat(card["data_window"][name]) for name in ("start", "end"))
        if start > end:
            problems.append("data_window ends before it starts")
    except (KeyError, TypeError, ValueError):
        problems.append("data_window has no start and end")
    if not all(isinstance(value, str) and value for value in card["library_versions"].values()):
        problems.append("library_versions names a library without its version")
    if len(card["golden_rows"]) < 20:
        problems.append("there are fewer than 20 golden rows")
    for position, row in enumerate(card["golden_rows"]):
        if list(row.get("features", {})) != names:
            problems.append(f"golden row {position} has other features")
        probabilities = row.get("probabilities", [])
        # XGBoost computes in float32.
        if len(probabilities) != len(card["classes"]) or not math.isclose(sum(probabilities), 1, abs_tol=1e-6):
            problems.append(f"golden row {position} has no probability per class")
    return problems


def _placeholders(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        return [problem for name, inner in value.items() for problem in _placeholders(inner, f"{path}.{name}")]
    if isinstance(value, list):
        return [problem for place, inner in enumerate(value) for problem in _placeholders(inner, f"{path}[{place}]")]
    if isinstance(value, str) and find_placeholder(value) is not None:
        return [f"{path} is a placeholder"]
    return []


def write_card(folder: Path) -> dict[str, Any]:
    """Write ``model_card.json`` of a folder that holds a fit and its evaluation, and return the card.

    Raises:
        UserError: a stage has not run, or the card is incomplete.
    """
    try:
        description = json.loads((folder / "dataset.json").read_text())
        evaluation = json.loads((folder / "evaluation.json").read_text())
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {Path(error.filename).name}: run `trainer fit` first.") from None
    card = build_card(description, evaluation)
    validate_card(card)
    save_card(ModelFolder(folder), card)
    return card


def save_card(folder: ModelFolder, card: dict[str, Any]) -> None:
    """Write ``model_card.json`` and ``model_card.md``, with the version that the card has now."""
    if "example" in card:
        card.update(_named_after(card))
        explanation = card.get("explanation", {"logged": "not compiled yet"})
        if explanation["logged"] is None and NOT_EXPLAINED not in card["limitations"]:
            card["limitations"] = [*card["limitations"], NOT_EXPLAINED]
        folder.write_text("model_card.md", render_card(card))
    folder.write_json("model_card.json", card)
