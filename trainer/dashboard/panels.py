"""Panels of a dashboard, read from Grafana's classic dashboard JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.dashboard.macros import parse_interval
from trainer.errors import UserError
from trainer.resources import resource

JSON = Mapping[str, Any]


def dashboard_file() -> Path:
    """Return the shipped dashboard, which Grafana reads as well."""
    return resource("sql", "dashboards", "grafana", "pattern_confidence.json")


@dataclass(frozen=True)
class Target:
    """One query of a panel. ``format`` is ``time_series`` or ``table``."""

    name: str
    sql: str
    format: str


@dataclass(frozen=True)
class Threshold:
    """From this value on (None: from below), values have this colour."""

    value: float | None
    colour: str


@dataclass(frozen=True)
class FieldSettings:
    """How the values of one column are shown: the defaults of the panel with the overrides of this column."""

    unit: str = ""
    name: str = ""
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    no_value: str = ""
    colour: str | None = None
    colour_mode: str = ""
    thresholds: tuple[Threshold, ...] = ()
    mappings: tuple[JSON, ...] = ()
    custom: JSON = field(default_factory=dict)

    def colour_of(self, value: float | None) -> str | None:
        """Return the colour of the highest threshold that the value reaches."""
        reached = None
        for threshold in self.thresholds:
            if threshold.value is None or (value is not None and value >= threshold.value):
                reached = threshold.colour
        return reached

    def mapped(self, value: object) -> tuple[str | None, str | None]:
        """Return text and colour that the value mappings give a value; None for what they leave open."""
        for mapping in self.mappings:
            found = _mapping_result(mapping, value)
            if found is not None:
                return found.get("text"), found.get("color")
        return None, None


@dataclass(frozen=True)
class Panel:
    """One panel: what it asks, and how the answer is shown. Width and height are in Grafana's grid of 24 columns."""

    number: int
    title: str
    description: str
    kind: str
    targets: tuple[Target, ...]
    options: JSON
    defaults: JSON
    overrides: tuple[JSON, ...]
    width: int
    height: int
    points: int
    least_interval: float
    time_from: float | None = None
    """Seconds before the end of the dashboard's range at which the panel's own range begins; None: the dashboard's."""

    def settings(self, column: str = "", kind: str = "", shown: str = "") -> FieldSettings:
        """Return how to show a column, by its name, its kind (``time``, ``number``, ``text``) and how it is called."""
        merged: dict[str, Any] = dict(self.defaults)
        custom: dict[str, Any] = dict(merged.pop("custom", None) or {})
        for override in self.overrides:
            matcher = override.get("matcher") or {}
            if not (_matches(matcher, column, kind) or (shown and _matches(matcher, shown, ""))):
                continue
            for item in override.get("properties") or ():
                name, value = item.get("id", ""), item.get("value")
                if name.startswith("custom."):
                    custom[name.removeprefix("custom.")] = value
                else:
                    merged[name] = value
        colour = merged.get("color") or {}
        return FieldSettings(
            unit=merged.get("unit") or "",
            name=merged.get("displayName") or "",
            decimals=merged.get("decimals"),
            least=merged.get("min"),
            most=merged.get("max"),
            no_value=merged.get("noValue") or "",
            colour=colour.get("fixedColor") if colour.get("mode") == "fixed" else None,
            colour_mode=colour.get("mode") or "",
            thresholds=tuple(
                Threshold(step.get("value"), step.get("color", "text"))
                for step in (merged.get("thresholds") or {}).get("steps") or ()
            ),
            mappings=tuple(merged.get("mappings") or ()),
            custom=custom,
        )


@dataclass(frozen=True)
class Section:
    """The panels of one row of the dashboard."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class DashboardVariable:
    """A variable; its options come from ``query`` when ``kind`` is ``query``, else they are listed."""

    name: str
    label: str
    kind: str
    query: str
    options: tuple[str, ...]
    current: str | tuple[str, ...]
    multi: bool
    include_all: bool
    all_value: str | None


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: its sections in order, its variables, and the time range that it opens with."""

    title: str
    description: str
    since: str
    sections: tuple[Section, ...]
    variables: tuple[DashboardVariable, ...]

    def panels(self) -> Iterator[Panel]:
        """Yield all panels in order."""
        for section in self.sections:
            yield from section.panels


def read_dashboard(file: Path) -> Dashboard:
    """Read a dashboard.

    Raises:
        UserError: the file is missing or is no dashboard.
    """
    try:
        model = json.loads(file.read_text(encoding="utf-8"))
        return _dashboard(model)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): install the package again.") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{file} is not a Grafana dashboard ({error}): restore it, or name another file.") from None


def _dashboard(model: JSON) -> Dashboard:
    sections: list[Section] = []
    title, panels = "", list[Panel]()

    def close() -> None:
        if panels:
            sections.append(Section(title, tuple(panels)))
        panels.clear()

    for item in sorted(model["panels"], key=_place):
        if item["type"] == "row":
            close()
            title = item.get("title") or ""
            panels += [_panel(nested) for nested in sorted(item.get("panels") or (), key=_place)]
        else:
            panels.append(_panel(item))
    close()
    return Dashboard(
        title=model["title"],
        description=model.get("description") or "",
        since=(model.get("time") or {}).get("from", "now-24h"),
        sections=tuple(sections),
        variables=tuple(
            _variable(item)
            for item in (model.get("templating") or {}).get("list") or ()
            if item.get("type") != "datasource"
        ),
    )


def _place(item: JSON) -> tuple[int, int]:
    grid = item.get("gridPos") or {}
    return grid.get("y", 0), grid.get("x", 0)


def _panel(item: JSON) -> Panel:
    config, grid = item.get("fieldConfig") or {}, item.get("gridPos") or {}
    return Panel(
        number=item["id"],
        title=item.get("title") or "",
        description=item.get("description") or "",
        kind=item["type"],
        targets=tuple(
            Target(target.get("refId", "A"), target["rawSql"], target.get("format", "time_series"))
            for target in item.get("targets") or ()
            if not target.get("hide")
        ),
        options=item.get("options") or {},
        defaults=config.get("defaults") or {},
        overrides=tuple(config.get("overrides") or ()),
        width=grid.get("w", 12),
        height=grid.get("h", 8),
        points=item.get("maxDataPoints") or 600,
        least_interval=parse_interval(str(item.get("interval") or "0")) or 0.0,
        time_from=parse_interval(str(item.get("timeFrom") or "").removeprefix("now-")),
    )


def _variable(item: JSON) -> DashboardVariable:
    query = item.get("query")
    current = (item.get("current") or {}).get("value", "")
    listed = [option.get("value") for option in item.get("options") or () if option.get("value") != "$__all"]
    if item["type"] == "custom" and not listed:
        listed = [text.strip().rpartition(" : ")[2] for text in str(query or "").split(",")]
    return DashboardVariable(
        name=item["name"],
        label=item.get("label") or item["name"],
        kind=item["type"],
        query=str(query.get("rawSql") or query.get("query") or "") if isinstance(query, Mapping) else str(query or ""),
        options=tuple(str(value) for value in listed),
        current=tuple(str(value) for value in current) if isinstance(current, list) else str(current),
        multi=bool(item.get("multi")),
        include_all=bool(item.get("includeAll")),
        all_value=item.get("allValue") or None,
    )


def _matches(matcher: JSON, column: str, kind: str) -> bool:
    wanted = matcher.get("options")
    match matcher.get("id"):
        case "byName":
            return bool(wanted == column)
        case "byRegexp":
            return bool(regular_expression(str(wanted)).search(column))
        case "byType":
            return bool({"string": "text"}.get(str(wanted), wanted) == kind)
        case "byNames":
            names = (wanted or {}).get("names") or ()
            return (column in names) != ((wanted or {}).get("mode") == "exclude")
    return False


def regular_expression(text: str) -> re.Pattern[str]:
    """Return ``/pattern/flags`` as Grafana writes it, or a pattern without slashes, compiled."""
    found = re.fullmatch(r"/(.*)/([gimsu]*)", text, re.DOTALL)
    pattern, flags = (found[1], found[2]) if found else (text, "")
    return re.compile(pattern, re.IGNORECASE if "i" in flags else 0)


def _mapping_result(mapping: JSON, value: object) -> JSON | None:
    options = mapping.get("options") or {}
    match mapping.get("type"):
        case "value":
            found = options.get(_key(value))
        case "range":
            low, high = options.get("from"), options.get("to")
            inside = _is_number(value) and (low is None or low <= value) and (high is None or value <= high)
            found = options.get("result") if inside else None
        case "regex":
            matched = isinstance(value, str) and regular_expression(str(options.get("pattern"))).search(value)
            found = options.get("result") if matched else None
        case "special":
            special = {
                "null": value is None,
                "nan": value != value,
                "null+nan": value is None or value != value,
                "true": value is True,
                "false": value is False,
                "empty": value == "",
            }
            found = options.get("result") if special.get(str(options.get("match")), False) else None
        case _:
            found = None
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
