"""Running the queries of a dashboard: read only, with a time limit, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import psycopg
from psycopg.errors import InsufficientPrivilege, QueryCanceled, UndefinedColumn, UndefinedFunction, UndefinedTable

from trainer.dashboard.macros import Fill, MacroError, TimeRange, Variable, expand
from trainer.dashboard.panels import Dashboard, DashboardVariable, Panel, Target
from trainer.database import MIGRATE, sentence_of
from trainer.errors import UserError

Kind = Literal["time", "number", "text"]

MOST_ROWS = 20_000
"""Rows of one query that are drawn: the browser has to hold them."""

MOST_NAMED = 10
"""Values of a variable that a sentence lists."""

_KINDS: dict[int, Kind] = {
    **dict.fromkeys((20, 21, 23, 26, 700, 701, 1700), "number"),
    **dict.fromkeys((1082, 1114, 1184), "time"),
}
"""Kinds of columns by the object id of their type; all others are text."""


@dataclass(frozen=True)
class Column:
    """A column of a result."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Frame:
    """The rows of one query: times in UTC, numbers as ``float`` or ``int``, all else as text; None for NULL.

    ``step`` is by how many seconds the query groups, if it does; ``cut`` says that there were more rows.
    """

    target: Target
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    fill: Fill | None = None
    cut: bool = False
    step: float | None = None


@dataclass(frozen=True)
class Answer:
    """What the queries of one panel brought: frames, or a sentence that says what went wrong."""

    panel: Panel
    time_range: TimeRange
    frames: tuple[Frame, ...] = ()
    error: str = ""


def run_panel(
    connection: psycopg.Connection[Any],
    panel: Panel,
    time_range: TimeRange,
    variables: Mapping[str, Variable],
    seconds: float,
) -> Answer:
    """Run the queries of a panel, each in a read-only transaction of its own with a limit of so many seconds.

    A query that fails is an answer with a sentence; a lost connection is an ``OperationalError``.
    """
    if panel.time_from:
        time_range = TimeRange(time_range.end - timedelta(seconds=panel.time_from), time_range.end)
    frames = []
    for target in panel.targets:
        try:
            interval = time_range.interval(panel.points, panel.least_interval)
            query = expand(target.sql, time_range, variables, interval=interval)
            columns, rows = fetch(connection, query.sql, seconds, MOST_ROWS + 1)
        except MacroError as error:
            return Answer(panel, time_range, error=f"The query cannot be expanded: {error}.")
        except psycopg.Error as error:
            if connection.closed:
                raise
            return Answer(panel, time_range, error=explain(error, seconds))
        frames.append(Frame(target, columns, rows[:MOST_ROWS], query.fill, len(rows) > MOST_ROWS, query.step))
    return Answer(panel, time_range, tuple(frames))


def fetch(
    connection: psycopg.Connection[Any], query: str, seconds: float, limit: int
) -> tuple[tuple[Column, ...], tuple[tuple[Any, ...], ...]]:
    """Run one SELECT and return its columns and at most ``limit`` rows; the connection is in autocommit mode."""
    # A cursor of the server takes one statement only, so that no second one can leave the transaction.
    with _read_only(connection, seconds), connection.cursor(name="panel") as cursor:
        cursor.execute(query.encode())
        columns = tuple(Column(item.name, _KINDS.get(item.type_code, "text")) for item in cursor.description or ())
        rows = cursor.fetchmany(limit)
    return columns, tuple(tuple(map(_plain, row)) for row in rows)


def fetch_value(connection: psycopg.Connection[Any], query: str, seconds: float) -> Any:
    """Run a query as ``fetch`` does and return its only value as psycopg gives it."""
    with _read_only(connection, seconds):
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


@contextmanager
def _read_only(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('TimeZone', 'UTC', true),"
            " set_config('cursor_tuple_fraction', '1', true)",  # all rows are wanted
            (f"{round(seconds * 1000)}ms",),
        )
        yield


def _plain(value: Any) -> Any:
    match value:
        case None | str() | float():
            return value
        case bool():
            return "yes" if value else "no"
        case int():
            return value
        case Decimal():
            return float(value)
        case datetime():
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case timedelta():
            return str(value)
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def explain(error: psycopg.Error, seconds: float) -> str:
    """Return one sentence for a query that failed, with what to do."""
    if isinstance(error, QueryCanceled):
        return f"The query took longer than {seconds:g} s: choose a shorter time range, or a longer --timeout."
    if isinstance(error, UndefinedTable | UndefinedFunction | UndefinedColumn):
        return f"{_said(error)} The database may be at an older schema: {MIGRATE}."
    if isinstance(error, InsufficientPrivilege):
        return f"{_said(error)} The role ml_dashboard may read the panels: GRANT it to the role that you use."
    return sentence_of(error)


def _said(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error)
    return f"{said[:1].upper()}{said[1:]}."


def check_chosen(dashboard: Dashboard, chosen: Mapping[str, Sequence[str]]) -> None:
    """Refuse a choice that the dashboard does not offer.

    Raises:
        UserError: a variable is unknown, or has more than one value where one is taken.
    """
    known = {variable.name: variable for variable in dashboard.variables}
    for name, values in chosen.items():
        if name not in known:
            raise UserError(f"The dashboard has no variable {name}: it has {', '.join(known) or 'none'}.")
        if len(values) > 1 and not known[name].multi:
            raise UserError(f"The variable {name} takes one value: give it once.")


def resolve_variables(
    connection: psycopg.Connection[Any],
    dashboard: Dashboard,
    time_range: TimeRange,
    chosen: Mapping[str, Sequence[str]],
    seconds: float,
) -> dict[str, Variable]:
    """Return the value of each variable: what was chosen, else what the dashboard opens with.

    A variable that stands for all has the values that its query gives now, or its own text for all.

    Raises:
        UserError: what was chosen is not among the values that a variable's query gives.
    """
    found: dict[str, Variable] = {}
    for variable in dashboard.variables:
        name = variable.name
        values = chosen.get(name) or variable.current
        first = values if isinstance(values, str) else next(iter(values), "")
        if first == "$__all" or (variable.include_all and not first):
            options = {} if variable.all_value else _options(connection, variable, time_range, found, seconds)
            found[name] = Variable(
                list(options.values()) if options is not None else [""], is_all=True, all_value=variable.all_value
            )
        elif name in chosen and variable.kind == "query":
            options = _options(connection, variable, time_range, found, seconds)
            picked = [_value(text, variable, options) for text in values]
            found[name] = Variable(picked if variable.multi else picked[0])
        elif isinstance(values, str) or not variable.multi:
            found[name] = Variable(first)
        else:
            found[name] = Variable(list(values))
    return found


def _value(text: str, variable: DashboardVariable, options: Mapping[str, str] | None) -> str:
    """Return the value of the option that is called so, or that is the value itself."""
    if options is None or text in options:
        return (options or {}).get(text, text)
    if text in options.values():
        return text
    known = list(options)
    more = f" and {len(known) - MOST_NAMED:,} more" if len(known) > MOST_NAMED else ""
    listed = f"it can be {', '.join(known[:MOST_NAMED])}{more}" if known else "there is none yet"
    raise UserError(
        f"--variable {variable.name}={text}: the dashboard knows no such {variable.label.lower()}; {listed}."
    )


def _options(
    connection: psycopg.Connection[Any],
    variable: DashboardVariable,
    time_range: TimeRange,
    known: Mapping[str, Variable],
    seconds: float,
) -> dict[str, str] | None:
    """Return the value of each option by its text; None when the query fails: the panels that need it say why."""
    if variable.kind != "query":
        return {text: text for text in variable.options}
    try:
        query = expand(variable.query, time_range, known)
        columns, rows = fetch(connection, query.sql, seconds, MOST_ROWS)
    except (MacroError, psycopg.Error):
        if connection.closed:
            raise
        return {text: text for text in variable.options} or None
    names = [column.name for column in columns]
    value = names.index("__value") if "__value" in names else 0
    text = names.index("__text") if "__text" in names else value
    return {str(row[text]): str(row[value]) for row in rows if row[value] is not None}
