"""Stage 2 of a model's way: label events by what the market did next (``ml.label_outcomes``)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import psycopg
import typer
from psycopg.errors import InvalidParameterValue, InvalidSchemaName, UndefinedFunction, UndefinedTable

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url, with_options
from trainer.errors import UserError
from trainer.progress import Progress, progress_bar
from trainer.selection import Since, Until, as_utc
from trainer.sql import statement

EVENTS_PER_BATCH = 20_000


@dataclass(frozen=True)
class LabelReport:
    """How many events were looked at and labelled, by outcome, and why others were not.

    ``pending`` events need more bars; ``no_direction``, ``no_bar`` (none, or too old) and ``no_atr`` (fewer
    than 101 bars before) cannot be labelled as they are; ``locked`` ones another session was changing.
    """

    label: str
    examined: int
    labelled: int
    win: int
    loss: int
    timeout: int
    both_barriers: int
    pending: int
    no_direction: int
    no_bar: int
    no_atr: int
    locked: int


def label_outcomes(
    connection: psycopg.Connection[Any],
    *,
    label: str = "TB2",
    barrier_atr: float | None = None,
    horizon: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    relabel: bool = False,
    at: datetime | None = None,
    progress: Progress | None = None,
) -> LabelReport:
    """Label every event that has an outcome, in batches of consecutive events, each a transaction of its own.

    Args:
        connection: to a migrated database.
        label: a definition in ``ml_label_definitions``, such as TB2, D1, HIT or RX, or a new name.
        barrier_atr: of a new name: distance of target and stop from the entry, in Wilder ATR(100) of the
            detection bar; 2 when only ``horizon`` is given.
        horizon: of a new name: number of bars, the entry bar included, after which an event times out; 10
            when only ``barrier_atr`` is given.
        since: only events detected at or after this time.
        until: only events detected before this time.
        relabel: look again at events that have this label.
        at: the time that counts as now; bars that have not ended by then are not looked at.
        progress: told about events.

    Raises:
        UserError: a parameter is out of range, the name is unknown, or the database is not migrated.
    """
    window = {"since": since, "until": until, "relabel": relabel, "label": label}
    settings = {**window, "barrier_atr": barrier_atr, "horizon": horizon, "at": at}
    counts: Counter[str] = Counter()
    try:
        with connection.transaction():
            batches = connection.execute(statement("label_batches"), {**window, "batch": EVENTS_PER_BATCH}).fetchall()
        total = sum(row[2] for row in batches)
        # Without a batch the call still checks the parameters.
        for first, last, events in batches or [(since, until, 0)]:
            with connection.transaction():
                row = connection.execute(
                    statement("label_outcomes"), {**settings, "since": first, "until": last}
                ).fetchone()
            assert row is not None  # noqa: S101 (a function call returns one row)
            counts.update({name: value for name, value in row[0].items() if name != "label"})
            if progress is not None:
                progress(f"label {label}", min(counts["examined"], total) if events else total, total)
    except InvalidParameterValue as error:
        raise UserError(with_options(f"{error.diag.message_primary}.")) from error
    except (UndefinedTable, UndefinedFunction, InvalidSchemaName):
        raise UserError(f"The database has no function ml.label_outcomes: {MIGRATE}.") from None
    names = [name for name in LabelReport.__dataclass_fields__ if name != "label"]
    return LabelReport(label, **{name: counts[name] for name in names})


def label_command(
    label: Annotated[
        str,
        typer.Option("--label", help="TB2, D1, HIT, RX, another name in ml_label_definitions, or a new one."),
    ] = "TB2",
    barrier_atr: Annotated[
        float | None,
        typer.Option("--barrier-atr", help="Of a new name: distance of target and stop from the entry, in ATR(100)."),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option("--horizon", help="Of a new name: bars until an event times out.")
    ] = None,
    since: Since = None,
    until: Until = None,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="Look again at events that have this label, after bars changed.")
    ] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Label events by what the market did next: win, loss or timeout.

    Labels of several definitions stand side by side in pattern_labels; TB2's also go to the label columns of
    pattern_events. What others or analysts wrote there is never touched.
    """
    with connect(resolve_url(database_url)) as connection, progress_bar("events", "labelling events") as progress:
        report = label_outcomes(
            connection,
            label=label,
            barrier_atr=barrier_atr,
            horizon=horizon,
            since=as_utc(since),
            until=as_utc(until),
            relabel=relabel,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(report)))
        return
    typer.echo(
        f"{report.labelled:,} of {report.examined:,} events labelled {label}: {report.win:,} win, "
        f"{report.loss:,} loss, {report.timeout:,} timeout"
    )
    reasons = {
        "wait for more bars": report.pending,
        "have no direction": report.no_direction,
        "have no usable bar": report.no_bar,
        "have too few bars before them": report.no_atr,
        "are in use by another session: run this again": report.locked,
    }
    for reason, events in reasons.items():
        if events:
            typer.echo(f"{events:,} {reason}")
