"""A record of the holdouts that were looked at, beside the folders of the models.

A holdout is unseen once. Every further fit whose figures on it are read, and which is then changed, learns from it
through the person who reads. Nothing can forbid that; what can be done is to count. The record is a file of one
JSON object per line, to which lines are only added, so that removing a model's folder does not make its look undone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = "holdouts.jsonl"


@dataclass(frozen=True)
class HoldoutUses:
    """How many other fits were evaluated on a holdout before: with the same data set, or one that shares events."""

    same_data: int
    overlapping_data: int
    unreadable_lines: int
    recorded: bool
    record: str

    def sentence(self) -> str:
        """Say it."""
        said = f"According to {self.record}, no earlier fit was evaluated on this holdout"
        if self.same_data or self.overlapping_data:
            said = (
                f"According to {self.record}, this holdout was looked at before: by {_fits(self.same_data)} of this "
                f"data set and {_fits(self.overlapping_data)} of data that overlap with it; the more of them the "
                "choice of this model depends on, the more its figures flatter"
            )
        if not self.recorded:
            said += " (this look could not be recorded: the folder is not writable)"
        if self.unreadable_lines:
            said += f" ({self.unreadable_lines} lines of the record cannot be read)"
        return f"{said}."


def _fits(number: int) -> str:
    return f"{number} earlier {'fit' if number == 1 else 'fits'}"


def record_look(models: Path, description: Mapping[str, Any], at: datetime | None = None) -> HoldoutUses:
    """Add a fit to the record of a folder of models, unless it is there, and count the others before it.

    ``description`` is what the fit says about itself (``dataset.json``). Two fits are the same when data and
    configuration are: evaluating one again is no new look. Data overlap when a series and a part of the holdout's
    time are in both.
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
    same = overlapping = 0
    for look in looks:
        if _identity(look) == _identity(own):
            break
        if look["dataset_sha256"] == own["dataset_sha256"]:
            same += 1
        elif _overlap(look, own):
            overlapping += 1
    else:
        try:
            with file.open("a", encoding="utf-8") as record:
                record.write(json.dumps(own) + "\n")
        except OSError:
            return HoldoutUses(same, overlapping, unreadable, False, FILE)
    return HoldoutUses(same, overlapping, unreadable, True, FILE)


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
