"""Macros and variables of a dashboard's queries, expanded as Grafana's PostgreSQL data source does it.

Grafana expands in two steps, and so does ``expand``. In the browser, variables are replaced by their values; in the
server, comments are dropped, ``$__interval`` is replaced, and then each ``$name(arguments)``. A macro's arguments end
at the first closing parenthesis and are split at every comma, whatever is quoted or nested in them.

Source: Grafana 12, documentation of the PostgreSQL data source and of variable syntax; macros.go, sql_engine.go and
gtime of the data source and its SDK.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Value = str | float | Sequence[str]
"""What a variable stands for: one text, one number, or the chosen ones of several."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND, _MILLISECOND, _MICROSECOND = timedelta(seconds=1), timedelta(milliseconds=1), timedelta(microseconds=1)
_CALL = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_TOKEN = re.compile(r"\$(?:__[a-zA-Z0-9_]*|[_a-zA-Z0-9]+\s*\()")
_VARIABLE = re.compile(
    r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}",
    re.ASCII,
)
_QUOTED_OR_COMMENT = re.compile(
    r"""(?P<kept>\$(?P<tag>(?:[A-Za-z_][A-Za-z0-9_]*)?)\$.*?(?:\$(?P=tag)\$|\Z)
      |'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z))
      |(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTION = re.compile(r"/\*\s*[a-zA-Z0-9%_.-]+='[^'*]*'(\s*,\s*[a-zA-Z0-9%_.-]+='[^'*]*')*\s*\*/")
_GROUPS = {"__timeGroup": "extract(epoch from {})", "__unixEpochGroup": "({})"}
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_STEPS = (
    (10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1500, 1000), (3500, 2000),
    (7500, 5000), (12500, 10000), (17500, 15000), (25000, 20000), (45000, 30000), (90000, 60000), (210000, 120000),
    (450000, 300000), (750000, 600000), (1050000, 900000), (1500000, 1200000), (2700000, 1800000),
    (5400000, 3600000), (9000000, 7200000), (16200000, 10800000), (32400000, 21600000), (86400000, 43200000),
    (604800000, 86400000), (1814400000, 604800000), (3628800000, 2592000000), (math.inf, 31536000000),
)  # fmt: skip
"""Below how many milliseconds an interval is rounded to how many."""


class MacroError(ValueError):
    """A query that Grafana could not expand either."""


@dataclass(frozen=True)
class TimeRange:
    """The time range of a dashboard, both ends included."""

    start: datetime
    end: datetime

    def interval(self, points: int = 600, least: float = 0.0) -> float:
        """Return the seconds of ``$__interval``: the range over the number of points, rounded to a usual interval."""
        milliseconds = (self.end - self.start) / _MILLISECOND / points
        rounded = next(step for limit, step in _STEPS if milliseconds < limit) / 1000
        return max(rounded, least)


@dataclass(frozen=True)
class Variable:
    """A variable of a dashboard with its present value; ``all_value`` is the custom text that stands for all."""

    value: Value
    is_all: bool = False
    all_value: str | None = None


@dataclass(frozen=True)
class Fill:
    """What the third argument of ``$__timeGroup`` asks for: a row for every interval in which there is none.

    ``mode`` is ``null``, ``previous`` or ``value``; ``seconds`` is the interval.
    """

    seconds: float
    mode: str
    value: float | None = None


@dataclass(frozen=True)
class Expanded:
    """A query as it is sent to the database; by how many seconds it groups; what is to be filled in afterwards."""

    sql: str
    fill: Fill | None = None
    step: float | None = None


def expand(
    sql: str, time_range: TimeRange, variables: Mapping[str, Variable] | None = None, *, interval: float | None = None
) -> Expanded:
    """Return a query with its variables and macros replaced.

    Args:
        sql: ``rawSql`` of a panel's target.
        time_range: the time range of the dashboard.
        variables: the dashboard's variables by name, without ``$``.
        interval: seconds of ``$__interval``; default: that of 600 points.

    Raises:
        MacroError: a macro is unknown, or its arguments are wrong.
    """
    seconds = time_range.interval() if interval is None else interval
    text = replace_variables(sql, {**_built_in(time_range, seconds), **(variables or {})})
    return expand_macros(text, time_range, seconds)


# ------------------------------------------------------------------------------------------------- variables


def replace_variables(text: str, variables: Mapping[str, Variable]) -> str:
    """Replace ``$name``, ``${name}``, ``${name:format}``, ``[[name]]`` and ``[[name:format]]``; keep unknown names.

    Without a format the data source decides: quotes in a text are doubled and none are put around it, several values
    are quoted and separated by commas.
    """

    def replaced(found: re.Match[str]) -> str:
        plain, square, square_format, braced, path, braced_format = found.groups()
        variable = variables.get(plain or square or braced)
        return found[0] if variable is None or path else _formatted(variable, square_format or braced_format)

    return _VARIABLE.sub(replaced, text)


def _formatted(variable: Variable, form: str | None) -> str:
    if variable.is_all and variable.all_value and form != "text":
        return variable.all_value
    if form is None:
        return _for_sql(variable.value)
    name, _, argument = form.partition(":")
    if name == "date":
        return _date(variable.value, argument)
    if name == "text" and variable.is_all:
        return "All"
    if name not in _FORMATS:
        raise MacroError(f"the format {name!r} of a variable is not one for SQL: use sqlstring, csv or another")
    return _FORMATS[name](variable.value)


def _for_sql(value: Value) -> str:
    if isinstance(value, str):
        return value.replace("'", "''")
    return _number(value) if isinstance(value, int | float) else _sqlstring(value)


def _joined(separator: str, quote: str = "", escaped: str = "") -> Callable[[Value], str]:
    def join(value: Value) -> str:
        return separator.join(
            f"{quote}{item.replace(quote, escaped) if quote else item}{quote}" for item in _all(value)
        )

    return join


def _all(value: Value) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [_number(value)] if isinstance(value, int | float) else list(value)


_sqlstring = _joined(",", "'", "''")


def _regex(value: Value) -> str:
    escaped = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", item) for item in _all(value)]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _glob(value: Value) -> str:
    items = _all(value)
    return f"{{{','.join(items)}}}" if len(items) > 1 else "".join(items)


def _json(value: Value) -> str:
    kept = value if isinstance(value, str | int | float) else list(value)
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


_FORMATS: dict[str, Callable[[Value], str]] = {
    "csv": _joined(","),
    "raw": _joined(","),
    "pipe": _joined("|"),
    "sqlstring": _sqlstring,
    "singlequote": _joined(",", "'", r"\'"),
    "doublequote": _joined(",", '"', r"\""),
    "json": _json,
    "regex": _regex,
    "glob": _glob,
    "text": _joined(" + "),
}


def _built_in(time_range: TimeRange, interval: float) -> dict[str, Variable]:
    seconds = round((time_range.end - time_range.start) / _SECOND)
    milliseconds = (time_range.end - time_range.start) // _MILLISECOND
    return {
        "__from": Variable(str((time_range.start - _EPOCH) // _MILLISECOND)),
        "__to": Variable(str((time_range.end - _EPOCH) // _MILLISECOND)),
        "__interval": Variable(format_interval(interval)),
        "__interval_ms": Variable(str(int(interval * 1000))),
        "__range": Variable(f"{seconds}s"),
        "__range_s": Variable(str(seconds)),
        "__range_ms": Variable(str(milliseconds)),
    }


def _date(value: Value, argument: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"-?\d+", value):
        raise MacroError("the format 'date' is for ${__from} and ${__to} only")
    if argument == "seconds":
        return str(math.floor(int(value) / 1000 + 0.5))
    if argument in ("", "iso"):
        return (_EPOCH + int(value) * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise MacroError(f"the date format {argument!r} is not supported: use iso or seconds")


# ---------------------------------------------------------------------------------------------------- macros


def expand_macros(sql: str, time_range: TimeRange, interval: float) -> Expanded:
    """Replace the macros of a query whose variables are replaced already; ``interval`` is in seconds.

    Raises:
        MacroError: a macro is unknown, or its arguments are wrong.
    """
    text = strip_comments(sql)
    for name, value in {
        "$__interval_ms": str(int(interval * 1000)),
        "$__interval": format_interval(interval),
        "$__unixEpochFrom()": str(_unix(time_range.start)),
        "$__unixEpochTo()": str(_unix(time_range.end)),
    }.items():
        text = text.replace(name, value)
    fill: Fill | None = None
    step: float | None = None

    def replaced(found: re.Match[str]) -> str:
        nonlocal fill, step
        name = found[1]
        # As of old: a comma right after the first place where this very text stands asks for the alias.
        if name == "__timeGroup" and text[text.index(found[0]) + len(found[0]) :].startswith(","):
            name = "__timeGroupAlias"
        arguments = [argument.strip(" ") for argument in found[2].split(",")]
        if name.removesuffix("Alias") in _GROUPS:
            result, step, wanted = _group(name, arguments)
            fill = wanted or fill
            return result
        return _evaluate(name, arguments[0], time_range)

    expanded = _CALL.sub(replaced, text)
    return Expanded(expanded, fill, step)


def strip_comments(sql: str) -> str:
    """Drop the comments of a query, as Grafana does, so that no macro in one is expanded.

    What is quoted stays, and so does a comment of the form ``/*key='value'*/`` that holds no macro.
    """

    def kept(found: re.Match[str]) -> str:
        comment = found["comment"]
        if comment is None:
            return found[0]
        return comment if _ATTRIBUTION.fullmatch(comment) and not _TOKEN.search(comment) else ""

    return _QUOTED_OR_COMMENT.sub(kept, sql)


def _evaluate(name: str, column: str, time_range: TimeRange) -> str:
    start, end = time_range.start, time_range.end
    macros = {
        "__time": f'{column} AS "time"',
        "__timeEpoch": f'extract(epoch from {column}) as "time"',
        "__timeFilter": f"{column} BETWEEN '{_rfc3339(start)}' AND '{_rfc3339(end)}'",
        "__timeFrom": f"'{_rfc3339(start)}'",
        "__timeTo": f"'{_rfc3339(end)}'",
        "__unixEpochFilter": f"{column} >= {_unix(start)} AND {column} <= {_unix(end)}",
        "__unixEpochNanoFilter": f"{column} >= {_nanoseconds(start)} AND {column} <= {_nanoseconds(end)}",
        "__unixEpochNanoFrom": str(_nanoseconds(start)),
        "__unixEpochNanoTo": str(_nanoseconds(end)),
    }
    if name not in macros:
        raise MacroError(f"unknown macro {name!r}")
    return macros[name]


def _group(name: str, arguments: Sequence[str]) -> tuple[str, float, Fill | None]:
    """Return the expression of a macro that groups by time, the interval in seconds, and what is to be filled in."""
    if len(arguments) < 2:
        raise MacroError(f"macro {name} needs time column and interval and optional fill value")
    seconds = parse_interval(arguments[1].strip("'"))
    if seconds is None:
        raise MacroError(f"error parsing interval {arguments[1]}")
    if seconds <= 0:
        raise MacroError(f"interval must be positive, got {arguments[1]}")
    fill = _fill(seconds, arguments[2]) if len(arguments) == 3 else None
    grouped = _GROUPS[name.removesuffix("Alias")].format(arguments[0])
    alias = ' AS "time"' if name.endswith("Alias") else ""
    return f"floor({grouped}/{_number(seconds)})*{_number(seconds)}{alias}", seconds, fill


def _fill(seconds: float, mode: str) -> Fill:
    if mode in ("NULL", "previous"):
        return Fill(seconds, mode.lower())
    try:
        return Fill(seconds, "value", float(mode))
    except ValueError:
        raise MacroError(f"error parsing fill value {mode}") from None


def parse_interval(text: str, now: datetime | None = None) -> float | None:
    """Return the seconds of an interval such as ``5m``, ``1h30m``, ``7d``; None when it is none.

    Months (``M``) and years (``y``) are counted in the calendar from ``now``, which is the present by default.
    """
    if found := re.fullmatch(r"(\d+)([dwMy])", text, re.ASCII):
        count, unit = int(found[1]), found[2]
        if unit in "dw":
            return count * 86400.0 * (7 if unit == "w" else 1)
        present = (now or datetime.now(UTC)).astimezone(UTC)
        months = present.month - 1 + count * (12 if unit == "y" else 1)
        first = present.replace(year=present.year + months // 12, month=months % 12 + 1, day=1)
        return (first + timedelta(days=present.day - 1) - present) / _SECOND
    if not _DURATION.fullmatch(text):
        return None
    total = math.fsum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return -total if text.startswith("-") else total


def format_interval(seconds: float) -> str:
    """Return an interval in the largest unit of which it holds at least one, cut off to a whole number."""
    for unit, length in (("y", 31536000), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(1, int(seconds * 1000))}ms"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _rfc3339(time: datetime) -> str:
    moment = time.astimezone(UTC).replace(tzinfo=None)
    text = moment.isoformat(timespec="microseconds")
    return f"{text.rstrip('0').rstrip('.')}Z"


def _unix(time: datetime) -> int:
    return (time - _EPOCH) // _SECOND


def _nanoseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND * 1000
