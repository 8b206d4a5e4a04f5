"""A record of the holdouts that were looked at, beside the folders of the models.

A holdout is unseen once. Every further fit whose figures on it are read, and which is then changed, learns from it
through the person who reads. Nothing can forbid that; what can be done is to count. The record is a file of one
JSON object per line, to which lines are only added, so that removing a model's folder does not make its look undone.
Released models come with the package: their cards say on which holdout they were evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainer.artefact import ModelFolder, released_folders
from trainer.errors import UserError

FILE = "holdouts.jsonl"


@dataclass(frozen=True)
class HoldoutUses:
    """How many others were evaluated on a holdout before: with the same data set, or one that shares events."""

    same_data: int
    overlapping_data: int
    unreadable_lines: int
    recorded: bool
    record: str
    released_same_data: int = 0
    """Released models. Two of them may be one fit, compiled twice."""
    released_overlapping_data: int = 0

    def sentence(self) -> str:
        """Say it."""
        said = f"According to {self.record} and the released models, none was evaluated on this holdout before"
        looks = (
            (self.released_same_data, self.same_data, "of this data set"),
            (self.released_overlapping_data, self.overlapping_data, "of data that overlap with it"),
        )
        if found := [f"by {_looks(released, fits)} {data}" for released, fits, data in looks if released or fits]:
            said = (
                f"According to {self.record} and the released models, this holdout was looked at before: "
                f"{', and '.join(found)}; the more of them the choice of this model depends on, the more its figures "
                "flatter"
            )
        if not self.recorded:
            said += " (this look could not be recorded: the folder is not writable)"
        if self.unreadable_lines:
            said += f" ({self.unreadable_lines} lines of the record or released models cannot be read)"
        return f"{said}."


def _looks(released: int, fits: int) -> str:
    earlier = f"{fits:,} earlier {'fit' if fits == 1 else 'fits'}"
    return f"{released:,} released {'model' if released == 1 else 'models'} and {earlier}" if released else earlier


def record_look(
    models: Path,
    description: Mapping[str, Any],
    at: datetime | None = None,
    released: Sequence[ModelFolder] | None = None,
) -> HoldoutUses:
    """Add a fit to the record of a folder of models, unless it is there, and count the others before it.

    ``description`` is what the fit says about itself (``dataset.json``). Two fits are the same when data and
    configuration are: evaluating one again is no new look. Data overlap when a series and a part of the holdout's
    time are in both. ``released`` are the released models, by default those of this package; one that was fitted on
    this machine counts once, as the fit that is on record.
    """
    dataset, window = description["dataset"], description["holdout"]["data_window"]
    own = {
        "version": description["version"],
        "first_looked_at": (at or datetime.now(UTC)).isoformat(timespec="seconds"),
        "dataset_sha256": dataset["sha256"],
        "configuration_sha256": description["configuration_sha256"],
        "label": dataset["label"],
        "holdout": window,
        "series": [[series["symbol"], series["timeframe"]] for series in dataset["series"]],
    }
    file = models / FILE
    looks, unreadable = _read(file, own)
    shipped, unreadable_cards = _released(released_folders() if released is None else released, own)
    recorded = {_identity(look) for look in (*looks, own)}
    shipped = [look for look in shipped if _identity(look) not in recorded]
    released_same = sum(look["dataset_sha256"] == own["dataset_sha256"] for look in shipped)
    released_overlapping = len(shipped) - released_same
    same = overlapping = 0
    is_recorded = True
    for look in looks:
        if _identity(look) == _identity(own):
            break
        if look["dataset_sha256"] == own["dataset_sha256"]:
            same += 1
        elif _overlap(look, own):
            overlapping += 1
    else:
        is_recorded = _append(file, own)
    return HoldoutUses(
        same, overlapping, unreadable + unreadable_cards, is_recorded, FILE, released_same, released_overlapping
    )


def _append(file: Path, look: Mapping[str, Any]) -> bool:
    try:
        with file.open("a", encoding="utf-8") as record:
            record.write(json.dumps(look) + "\n")
    except OSError:
        return False
    return True


def _released(folders: Sequence[ModelFolder], own: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return the looks of released models that share events with one's own holdout, and how many cannot be read."""
    looks, unreadable = [], 0
    for folder in folders:
        try:
            card = folder.card
            look = {
                "dataset_sha256": card["dataset_sha256"],
                "configuration_sha256": card["configuration_sha256"],
                "holdout": card["holdout"]["data_window"],
                "series": [[series["symbol"], series["timeframe"]] for series in card["series"]],
            }
            if _overlap(look, own):
                looks.append(look)
        except (OSError, UserError, ValueError, KeyError, TypeError):
            unreadable += 1
    return looks, unreadable


def _read(file: Path, own: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return the looks on record, and the number of lines that cannot be compared with one's own."""
    if not file.exists():
        return [], 0
    looks, unreadable = [], 0
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            look = json.loads(line)
            _identity(look), _overlap(look, own)
            looks.append(look)
        except (ValueError, KeyError, TypeError):
            unreadable += 1
    return looks, unreadable


def _identity(look: Mapping[str, Any]) -> tuple[str, str]:
    return look["dataset_sha256"], look["configuration_sha256"]


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    start, end = ([datetime.fromisoformat(look["holdout"][name]) for look in (one, other)] for name in ("start", "end"))
    shared = {tuple(series) for series in one["series"]} & {tuple(series) for series in other["series"]}
    return bool(shared) and max(start) <= min(end)
