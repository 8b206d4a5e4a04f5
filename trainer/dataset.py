"""The training set: labelled events with the features that scoring would have used.

One query (``ml.training_dataset``): features as stored where an event has them, computed by the database's
one definition where it has none. There is no second implementation of a feature in Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import psycopg
from numpy.typing import NDArray
from psycopg.errors import InvalidSchemaName, UndefinedFunction, UndefinedTable

from trainer.database import MIGRATE
from trainer.errors import UserError
from trainer.sql import statement

OUTCOMES = ("win", "loss", "timeout")
CLASSES = ("rest", "win")
"""What a model tells apart, in the order of its probabilities."""
COLUMNS = (
    "id", "symbol", "timeframe", "pattern_type", "direction", "detected_at", "rule_confidence",
    "outcome_label", "outcome_at", "known_at", "realized_pnl", "data_quality_score",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled events, ordered by detection time, and their features.

    ``events`` has the columns ``COLUMNS`` and an index from 0; ``outcome_at`` is when the outcome happened,
    ``known_at`` the end of the label window, when it would have been known whatever it was. ``features`` is float64 of
    shape (events, features), NaN where missing; ``bar_period`` is the length of the longest timeframe's bar.
    """

    label: str
    events: pd.DataFrame
    features: NDArray[np.float64]
    feature_names: tuple[str, ...]
    bar_period: pd.Timedelta
    left_out: int
    """Labelled events without a usable bar, or with a rule confidence outside [0, 1]."""
    definition: str | None = None
    """What the label means, in the words of ``ml_label_definitions``; None for a label made elsewhere."""
    kind: str | None = None
    """The kind of its definition, as in ``trainer.evaluation.names.KINDS``; None for a label made elsewhere."""

    def __len__(self) -> int:
        return len(self.events)

    @property
    def is_win(self) -> NDArray[np.bool_]:
        """The target: win against everything else."""
        wins: NDArray[np.bool_] = (self.events["outcome_label"] == "win").to_numpy(dtype=bool)
        return wins

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Detection times of the first and last event."""
        times = self.events["detected_at"]
        return times.iloc[0].to_pydatetime(), times.iloc[-1].to_pydatetime()

    def class_counts(self) -> dict[str, int]:
        """Return the number of events per outcome."""
        return {name: int((self.events["outcome_label"] == name).sum()) for name in OUTCOMES}

    def take(self, rows: NDArray[np.intp]) -> Dataset:
        """Return the data set of some rows."""
        events = self.events.iloc[rows].reset_index(drop=True)
        return replace(self, events=events, features=self.features[rows])

    def sha256(self) -> str:
        """Return a hash of all that training sees: names, events, outcomes, exact feature values."""
        digest = hashlib.sha256()
        digest.update("\n".join((self.label, *self.feature_names)).encode())
        for name in ("id", "symbol", "timeframe", "pattern_type", "outcome_label"):
            digest.update(f"\n{name}\n".encode())
            digest.update("\n".join(self.events[name].astype(str)).encode())
        for name in ("detected_at", "outcome_at", "known_at"):
            microseconds = self.events[name].dt.as_unit("us").astype("int64").to_numpy()
            digest.update(microseconds.astype("<i8").tobytes())
        for values in (self.events["rule_confidence"].to_numpy(dtype=np.float64), self.features):
            # Adding zero makes -0.0 and 0.0 one value; all NaN get one bit pattern.
            canonical = np.where(np.isnan(values), np.nan, values + 0.0)
            digest.update(np.ascontiguousarray(canonical, dtype="<f8").tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return what a report says about the data, as JSON."""
        first, last = self.window
        by_symbol = self.events.groupby(["symbol", "timeframe"], sort=True)
        return {
            "label": self.label,
            "label_definition": self.definition,
            "label_kind": self.kind,
            "sha256": self.sha256(),
            "events": len(self),
            "left_out": self.left_out,
            "data_window": {"start": first.isoformat(), "end": last.isoformat()},
            "class_counts": self.class_counts(),
            "series": [
                {
                    "symbol": symbol,
                    "timeframe": timeframe,
                    "events": len(rows),
                    "first": rows["detected_at"].iloc[0].isoformat(),
                    "last": rows["detected_at"].iloc[-1].isoformat(),
                    "base_rate": float((rows["outcome_label"] == "win").mean()),
                }
                for (symbol, timeframe), rows in by_symbol
            ],
            "feature_names": list(self.feature_names),
            "missing_share": {
                name: float(share)
                for name, share in zip(self.feature_names, np.isnan(self.features).mean(axis=0), strict=True)
                if share > 0
            },
        }


def load_dataset(
    connection: psycopg.Connection[Any],
    *,
    label: str = "TB2",
    symbols: Sequence[str] | None = None,
    timeframes: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    min_quality: float = 0.0,
) -> Dataset:
    """Read the events that have a label by a definition (or bear a ``label_source``), and their features.

    Where the definition is one that fills ``pattern_events``, as TB2 does, an analyst's label counts instead.
    Events without a usable bar, or with a rule confidence outside [0, 1], cannot be scored and are left out;
    so are those whose ``data_quality_score`` is below ``min_quality``.

    Raises:
        UserError: there are no labelled events, or the database is not migrated.
    """
    parameters = {
        "label": label,
        "since": since,
        "until": until,
        "symbols": None if symbols is None else list(symbols),
        "timeframes": None if timeframes is None else list(timeframes),
    }
    try:
        with connection.transaction():
            names = tuple(row[0] for row in connection.execute(statement("feature_catalogue")))
            cursor = connection.cursor(binary=True)
            rows = cursor.execute(statement("training_dataset"), parameters).fetchall()
            periods = dict(connection.execute(statement("bar_periods")).fetchall())
            definition = connection.execute(statement("label_definition"), [label]).fetchone()
    except (UndefinedTable, UndefinedFunction, InvalidSchemaName):
        raise UserError(f"The database has no function ml.training_dataset: {MIGRATE}.") from None
    table = pd.DataFrame(rows, columns=[*COLUMNS, "features"])
    usable = (
        table["features"].notna()
        & table["rule_confidence"].between(0, 1)
        & (table["data_quality_score"].isna() | (table["data_quality_score"] >= min_quality))
    )
    kept = table[usable].reset_index(drop=True)
    if kept.empty:
        raise UserError(
            f"There are no events with the label {label} and usable features: "
            f"run `trainer harvest` and `trainer label{'' if label == 'TB2' else f' --label {label}'}` first."
        )
    features = np.array(kept["features"].tolist(), dtype=np.float64).reshape(len(kept), len(names))
    events = kept.drop(columns="features")
    for name in ("detected_at", "outcome_at", "known_at"):
        events[name] = pd.to_datetime(events[name], utc=True)
    longest = max(float(periods[timeframe]) for timeframe in events["timeframe"].unique())
    return Dataset(
        label,
        events,
        features,
        names,
        pd.Timedelta(seconds=longest),
        int((~usable).sum()),
        *(definition or (None, None)),
    )


def mark_training_events(connection: psycopg.Connection[Any], dataset: Dataset, splits: Sequence[str]) -> int:
    """Write ``used_for_training`` and ``training_split`` of every event that shows the data set's label.

    ``splits`` has one entry per event: ``train``, ``holdout`` or ``purged`` (too close to the holdout to be
    used). Events that are not in the data set get false and NULL. A label that stands beside, such as D1, marks
    nothing: the two columns belong to the label that the event shows. Scores stay as they are. Returns the
    number of events that changed.
    """
    parameters = {"ids": list(dataset.events["id"]), "splits": list(splits), "label": dataset.label}
    with connection.transaction():
        return connection.execute(statement("mark_training_events"), parameters).rowcount
