"""Where a model's data come from and who stands behind it: what a card can only be told, or recognise."""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psycopg

from trainer.bar_files import read_bars
from trainer.dataset import Dataset
from trainer.errors import UserError
from trainer.resources import sample_bars
from trainer.sql import statement

SHIPPED_BARS = (
    "The daily bars that pattern-confidence ships (trainer/data/README.md): US stocks from 2000 to 2013, "
    "split-adjusted, from the package bokeh-sampledata 2026.1 (Quandl WIKI, public domain)."
)
NOT_DECLARED = (
    "Not declared, and not the bars that pattern-confidence ships: whatever the table price_bars held. Fit with "
    "--data-source to say where the bars come from."
)
SYNTHETIC_WARNING = (
    "SYNTHETIC DATA: the events or bars that this model was fitted and evaluated on are made up. None of its figures "
    "says anything about a real market; use it to test the installation only."
)
NOT_DECLARED_WARNING = (
    "The source of the bars was not declared: its figures are worth no more than data of unknown origin are."
)
DEFAULT_CONTACT = (
    "Whoever runs the database in which this model is registered: ml_deployments says who deployed and promoted it."
)
DEFAULT_LICENSE = "The code is MIT-licensed; the model may be used as the licence of the bars it was fitted on allows."

_PLACEHOLDER = re.compile(
    r"\b(TODO|TBD|FIXME|XXX|placeholder|lorem ipsum|more information needed|fill (this )?in|your (name|e-?mail)|to be "
    r"(added|completed|decided|defined|determined|done|filled|written)|example\.(com|org))\b|^\s*(<[^<>]*>)?\s*$",
    re.IGNORECASE,
)


def find_placeholder(text: str) -> str | None:
    """Return what stands in a text for one that nobody has written yet, "" for an empty text; None for a real one."""
    found = _PLACEHOLDER.search(text)
    return found[0].strip() if found else None


def refuse_placeholders(declared: Mapping[str, str | None]) -> None:
    """Refuse what a card would be refused for, before long work; None is what was not declared.

    ``declared`` has the names of the arguments of ``find_provenance``.

    Raises:
        UserError: a text is empty or holds a placeholder.
    """
    for name, text in declared.items():
        placeholder = None if text is None else find_placeholder(text)
        if placeholder is not None:
            option = f"--{name.replace('_', '-')}"
            is_what = f"has the placeholder {placeholder}" if placeholder else "is empty"
            variable = f" (and PATTERN_CONFIDENCE_{name.upper()})" if name in ("author", "contact") else ""
            raise UserError(
                f"{option} {is_what}, and a model card with that is refused: write what is true, or leave {option}"
                f"{variable} out."
            )


@dataclass(frozen=True)
class Provenance:
    """What the card says about source and responsibility; ``synthetic`` is None where nobody has said."""

    data_source: str = NOT_DECLARED
    known_by: str = "nothing"
    """``declaration``, ``comparison`` with the shipped bars, or ``nothing``."""
    synthetic: bool | None = None
    authors: tuple[str, ...] = ()
    contact: str = DEFAULT_CONTACT
    license: str = DEFAULT_LICENSE

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before any figure."""
        if self.synthetic:
            return [SYNTHETIC_WARNING]
        return [] if self.known_by != "nothing" else [NOT_DECLARED_WARNING]


def find_provenance(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    *,
    data_source: str | None = None,
    synthetic: bool = False,
    author: str | None = None,
    contact: str | None = None,
    license: str | None = None,  # noqa: A002  the card's own word
) -> Provenance:
    """Return what was declared, and what the database shows: shipped bars, and events marked as synthetic.

    An event is marked by ``{"synthetic": true}`` in its metadata; one of them makes the data synthetic, whatever was
    declared.

    Raises:
        UserError: a declared text is empty or holds a placeholder.
    """
    refuse_placeholders({"data_source": data_source, "author": author, "contact": contact, "license": license})
    with connection.transaction():
        row = connection.execute(statement("synthetic_events"), (list(dataset.events["id"]),)).fetchone()
        marked = row is not None and bool(row[0])
        shipped = data_source is None and _are_shipped(connection, dataset)
    known_by = "declaration" if data_source is not None or synthetic else "comparison" if shipped else "nothing"
    source = data_source or (SHIPPED_BARS if shipped else "Declared as synthetic." if synthetic else NOT_DECLARED)
    return Provenance(
        data_source=source,
        known_by=known_by,
        synthetic=True if synthetic or marked else None if known_by == "nothing" else False,
        authors=(author or f"The account {getpass.getuser()}, by `trainer fit`",),
        contact=contact or DEFAULT_CONTACT,
        license=license or DEFAULT_LICENSE,
    )


def _are_shipped(connection: psycopg.Connection[Any], dataset: Dataset) -> bool:
    """Say whether every bar of the data set's series is one of the shipped ones, value for value."""
    files = {file.name.partition("_")[0]: file for file in sample_bars()}
    series = set(dataset.events[["symbol", "timeframe"]].itertuples(index=False, name=None))
    if not all(symbol in files and timeframe == "1d" for symbol, timeframe in series):
        return False
    symbols = sorted({symbol for symbol, _ in series})
    rows = connection.execute(statement("daily_bars"), (symbols,)).fetchall()
    columns = ["symbol", "timeframe", "ts", "open", "high", "low", "close", "volume"]
    stored = pd.DataFrame(rows, columns=columns)
    stored["ts"] = pd.to_datetime(stored["ts"], utc=True).dt.as_unit("us")
    shipped = pd.concat([read_bars(files[symbol])[columns] for symbol in symbols])
    shipped["ts"] = shipped["ts"].dt.as_unit("us")
    return len(stored) > 0 and len(stored.merge(shipped, how="inner", on=columns)) == len(stored)
