"""A panel and its rows as what the page shows: a plotly figure, values, a table or text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import count, pairwise
from statistics import fmean
from typing import Any

import plotly.graph_objects as go
from plotly.colors import hex_to_rgb, named_colorscales

from trainer.dashboard.macros import Fill, TimeRange
from trainer.dashboard.panels import FieldSettings, Panel, regular_expression
from trainer.dashboard.queries import Answer, Frame
from trainer.dashboard.units import NO_VALUE, Scale, scale, show, show_time
from trainer.pages.plots import BLUE, GREEN, NEUTRAL, ORANGE, PALETTE, PINK, VIOLET, styled

NO_DATA = "No data in this time range."
MOST_TABLE_ROWS = 100
MOST_WORD, MOST_TEXT = 28, 300
"""Characters of a cell without and with spaces."""
FURTHEST_LINE = 4
"""Lines of thresholds are drawn up to so many times the largest value."""
GRID_UNIT = 32
"""Pixels of one unit of a panel's height."""

_NAMED = {
    "green": GREEN, "red": "#d0473c", "yellow": "#d9a514", "orange": ORANGE, "blue": BLUE, "purple": VIOLET,
    "pink": PINK, "gray": NEUTRAL, "grey": NEUTRAL, "text": NEUTRAL, "white": "#d5d9de", "black": "#3a4048",
}  # fmt: skip
_SHADES = {"super-light": 0.5, "light": 0.28, "semi-dark": -0.18, "dark": -0.36}
_LEVELS = {"green": "yes", "red": "no", "orange": "few", "yellow": "few"}
_DASHES = {"dash": "dash", "dot": "dot"}
_FIELD = re.compile(r"\$\{__(?:field|series)\.(?:labels\.(\w+)|(name|displayName))\}|\$__(field|series)_name")


@dataclass(frozen=True)
class Shown:
    """A value in words: its name, its colour (a class of the page, or a hex colour), and its course over time.

    A text that is too long for a cell is cut; ``whole`` is all of it, else empty.
    """

    text: str
    name: str = ""
    level: str = ""
    colour: str = ""
    course: go.Figure | None = None
    whole: str = ""


@dataclass(frozen=True)
class Table:
    """A table: the titles, whether each column is of numbers, and the cells."""

    titles: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Shown, ...], ...]


@dataclass(frozen=True)
class Drawing:
    """What the box of a panel holds; ``legend`` has names and colours, ``note`` is said below it."""

    chart: go.Figure | None = None
    legend: tuple[tuple[str, str], ...] = ()
    values: tuple[Shown, ...] = ()
    table: Table | None = None
    markdown: str = ""
    empty: str = ""
    error: str = ""
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One line of a chart: its name, how it is shown, and its points in order of time."""

    name: str
    settings: FieldSettings
    times: tuple[datetime, ...]
    values: tuple[Any, ...]

    @property
    def numbers(self) -> list[float | None]:
        """Return the values, with None for what cannot be drawn."""
        return [value if isinstance(value, int | float) and math.isfinite(value) else None for value in self.values]


def draw(answer: Answer) -> Drawing:
    """Draw the answer to a panel's queries; a kind of panel that is not known is drawn as a table."""
    panel = answer.panel
    if answer.error:
        return Drawing(error=answer.error)
    if panel.kind == "text":
        return Drawing(markdown=str(panel.options.get("content") or ""))
    frames = [frame for frame in answer.frames if frame.rows]
    if not frames:
        return Drawing(empty=panel.settings().no_value or NO_DATA)
    drawing = _DRAWERS.get(panel.kind, _table)(panel, frames, answer.time_range)
    if drawing is None:
        return Drawing(empty=panel.settings().no_value or NO_DATA)
    if any(frame.cut for frame in frames):
        rows = max(len(frame.rows) for frame in frames)
        return replace(drawing, note=f"Only the first {rows:,} rows: choose a shorter time range to see all.")
    return drawing


# ---------------------------------------------------------------------------------------------------- series


def series_of(panel: Panel, frames: Iterable[Frame], time_range: TimeRange) -> list[Series]:
    """Return the lines of time series: one for each column of numbers and each combination of the text columns."""
    found: list[Series] = []
    for frame in frames:
        place = next((i for i, column in enumerate(frame.columns) if column.name == "time"), None)
        if place is None:
            place = next((i for i, column in enumerate(frame.columns) if column.kind == "time"), None)
        if place is None:
            continue
        labels = [i for i, column in enumerate(frame.columns) if column.kind == "text" and i != place]
        numbers = [i for i, column in enumerate(frame.columns) if column.kind == "number" and i != place]
        if not numbers:  # states in words
            labels, numbers = labels[:-1], labels[-1:]
        points: dict[tuple[int, tuple[Any, ...]], list[tuple[datetime, Any]]] = {}
        for row in frame.rows:
            time = _time(row[place])
            if time is not None:
                for i in numbers:
                    points.setdefault((i, tuple(row[label] for label in labels)), []).append((time, row[i]))
        for (i, key), pairs in points.items():
            column, words = (
                frame.columns[i],
                {frame.columns[label].name: value for label, value in zip(labels, key, strict=True)},
            )
            settings = panel.settings(column.name, column.kind)
            shown = _series_name(column.name, words, settings, alone=len(numbers) == 1)
            settings = panel.settings(column.name, column.kind, shown)
            shown = _series_name(column.name, words, settings, alone=len(numbers) == 1)
            pairs.sort(key=lambda pair: pair[0])
            if frame.fill:
                pairs = _filled(pairs, frame.fill, time_range)
            found.append(Series(shown, settings, *zip(*pairs, strict=True)))
    return found


def _series_name(column: str, labels: Mapping[str, Any], settings: FieldSettings, *, alone: bool) -> str:
    values = ", ".join("none" if value is None else str(value) for value in labels.values() if value != "")
    plain = values or "none" if labels and alone else f"{_words(column)} {values}".rstrip()
    if not settings.name:
        return plain
    return _FIELD.sub(lambda found: str(labels.get(found[1], "")) if found[1] else plain, settings.name).strip()


def _words(name: str) -> str:
    return name.replace("_", " ")


def _time(value: Any) -> datetime | None:
    if isinstance(value, int | float) and math.isfinite(value):
        # Seconds, milliseconds, microseconds or nanoseconds of the epoch, told by their size.
        power = next((power for power in (0, 3, 6, 9) if abs(value) < 10 ** (11 + power)), None)
        return None if power is None else datetime.fromtimestamp(value / 10**power, UTC)
    return value if isinstance(value, datetime) else None


def _filled(pairs: Sequence[tuple[datetime, Any]], fill: Fill, time_range: TimeRange) -> list[tuple[datetime, Any]]:
    """Add a point for each interval of the time range in which there is none."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    step = timedelta(seconds=fill.seconds)
    known = dict(pairs)
    time = epoch + ((time_range.start - epoch) // step) * step
    before: Any = None
    filled: list[tuple[datetime, Any]] = []
    # A finer interval than a browser can draw is left as it came.
    if (time_range.end - time) / step > 50_000:
        return list(pairs)
    while time <= time_range.end:
        if time in known:
            before = known.pop(time)
            filled.append((time, before))
        elif time >= time_range.start:
            value = {"null": None, "previous": before, "value": fill.value}[fill.mode]
            filled.append((time, value))
        time += step
    return sorted([*filled, *known.items()], key=lambda pair: pair[0])


# ------------------------------------------------------------------------------------------------ time series


def _timeseries(panel: Panel, frames: Sequence[Frame], time_range: TimeRange) -> Drawing | None:
    lines = series_of(panel, frames, time_range)
    if not any(value is not None for line in lines for value in line.numbers):
        return None
    colours = _colours([line.settings for line in lines])
    figure = go.Figure()
    right = [line.settings.custom.get("axisPlacement") == "right" for line in lines]
    sides = {
        side: [line for line, is_right in zip(lines, right, strict=True) if is_right == side] for side in (False, True)
    }
    scales = {side: _scale(group) for side, group in sides.items() if group}
    step = next((frame.step for frame in frames if frame.step), None)
    width = _bar_width(lines, step or time_range.interval(panel.points, max(panel.least_interval, 60)))
    bucket = step or panel.least_interval
    for line, colour, is_right in zip(lines, colours, right, strict=True):
        custom, how = line.settings.custom, scales[is_right]
        steps_after = custom.get("lineInterpolation") == "stepAfter" and custom.get("drawStyle") != "bars"
        times, numbers = _held(line, bucket, time_range) if steps_after and bucket else (line.times, line.numbers)
        values = [None if value is None else value / how.divisor for value in numbers]
        shared: dict[str, Any] = {
            "x": [_stamp(time) for time in times],
            "y": values,
            "name": escape(line.name),
            "hovertemplate": f"%{{y:{how.form}}}{escape(how.suffix)}",
            "yaxis": "y2" if is_right else "y",
        }
        stacked = (custom.get("stacking") or {}).get("mode", "none") != "none"
        if custom.get("drawStyle") == "bars":
            # -1: before its time, 0: around it, 1: from it on.
            offset = (int(custom.get("barAlignment") or 0) - 1) / 2 * width
            figure.add_bar(**shared, marker={"color": colour}, width=width, offset=offset)
            if stacked:
                figure.update_layout(barmode="stack")
            continue
        opacity = (custom.get("fillOpacity") or 0) / 100
        only_points = custom.get("drawStyle") == "points"
        few = sum(value is not None for value in values) <= 48 and custom.get("showPoints") != "never"
        figure.add_scatter(
            **shared,
            mode="markers" if only_points else "lines+markers" if few else "lines",
            marker={"color": colour, "size": 6 if only_points else 5},
            line={
                "color": colour,
                "width": max(1.5, custom.get("lineWidth") or 0),
                "shape": {"stepAfter": "hv", "stepBefore": "vh"}.get(str(custom.get("lineInterpolation")), "linear"),
                "dash": _DASHES.get((custom.get("lineStyle") or {}).get("fill", ""), "solid"),
            },
            connectgaps=bool(custom.get("spanNulls")),
            fill=None if not opacity or stacked else "tozeroy",
            fillcolor=_with_opacity(colour, opacity) if opacity else None,
            stackgroup=("right" if is_right else "left") if stacked else None,
        )
    for side, group in sides.items():
        if group:
            _value_axis(figure, group, scales[side], right=side)
    figure.update_xaxes(type="date", range=_padded(time_range), nticks=6, tickangle=0)
    figure.update_layout(hovermode="x unified")
    legend = [
        (line.name, colour)
        for line, colour in zip(lines, colours, strict=True)
        if not (line.settings.custom.get("hideFrom") or {}).get("legend")
        and any(value is not None for value in line.numbers)
    ]
    return _finished(figure, panel, legend)


def _held(line: Series, bucket: float, time_range: TimeRange) -> tuple[list[datetime], list[float | None]]:
    """Let each value hold to the end of its bucket (seconds), and nothing beyond it."""
    times: list[datetime] = []
    values: list[float | None] = []
    for time, value, following in zip(line.times, line.numbers, [*line.times[1:], None], strict=True):
        times.append(time)
        values.append(value)
        end = min(time + timedelta(seconds=bucket), max(time_range.end, time))
        if following is None or following > end:
            times += [end, end]
            values += [value, None]
    return times, values


def _scale(lines: Sequence[Series]) -> Scale:
    settings = lines[0].settings
    values = [value for line in lines for value in line.numbers if value is not None]
    if (settings.custom.get("thresholdsStyle") or {}).get("mode", "off") != "off":
        # Values and the lines that they are measured by have one unit.
        values += [threshold.value for threshold in settings.thresholds if threshold.value is not None]
    return scale(settings.unit, max(map(abs, values), default=0.0))


def _value_axis(figure: go.Figure, lines: Sequence[Series], how: Scale, *, right: bool) -> None:
    settings = lines[0].settings
    numbers = [value for line in lines for value in line.numbers if value is not None]
    least, most = settings.least, settings.most
    custom = settings.custom
    low, high = custom.get("axisSoftMin"), custom.get("axisSoftMax")
    if least is None and low is not None and numbers and min(numbers) >= low:
        least = low
    if most is None and high is not None and numbers and max(numbers) <= high:
        most = high
    axis: dict[str, Any] = {
        "tickformat": how.form,
        "ticksuffix": escape(how.suffix),
        "range": [None if end is None else end / how.divisor for end in (least, most)],
        "title": escape(str(custom.get("axisLabel") or "")) or None,
        "type": "log" if (custom.get("scaleDistribution") or {}).get("type") == "log" else "linear",
        "nticks": 6,
        "automargin": True,
    }
    if axis["type"] == "log":
        axis["range"] = [None if end is None or end <= 0 else math.log10(end) for end in axis["range"]]
    ends = axis["range"]
    if axis["type"] == "linear" and None in ends:
        del axis["range"]
        # One end is fixed, and the values decide about the other one.
        axis["autorangeoptions"] = {"include": [end for end in ends if end is not None]} | {
            side: end for side, end in zip(("clipmin", "clipmax"), ends, strict=True) if end is not None
        }
    elif ends == [None, None]:
        del axis["range"]
    if right:
        axis |= {"overlaying": "y", "side": "right", "showgrid": False}
    figure.update_layout(**{"yaxis2" if right else "yaxis": axis})
    mode = (custom.get("thresholdsStyle") or {}).get("mode", "off")
    if mode == "off" or right:
        return
    largest = max(map(abs, numbers), default=0.0)
    for threshold in settings.thresholds:
        # A line far above all values would leave them no room.
        if threshold.value is not None and mode != "area" and threshold.value <= FURTHEST_LINE * (largest or 1):
            figure.add_hline(
                y=threshold.value / how.divisor,
                line={
                    "color": colour_code(threshold.colour),
                    "width": 1.2,
                    "dash": "dash" if "dash" in mode else "solid",
                },
                annotation={"text": escape(show(threshold.value, settings.unit)), "font": {"size": 10}},
                annotation_position="top left",
            )


def _bar_width(lines: Sequence[Series], usual: float) -> float:
    """Return the width of bars in milliseconds: a part of the shortest distance of two points, or of the usual one."""
    times = sorted({time for line in lines for time in line.times})
    return 800 * min(((after - before).total_seconds() for before, after in pairwise(times)), default=usual)


# ------------------------------------------------------------------------------------------------- bar charts


def _barchart(panel: Panel, frames: Sequence[Frame], _time_range: TimeRange) -> Drawing | None:
    frame = frames[0]
    names = [column.name for column in frame.columns]
    wanted = panel.options.get("xField")
    place = names.index(wanted) if wanted in names else None
    if place is None:
        place = next((i for i, column in enumerate(frame.columns) if column.kind != "number"), 0)
    bars = [i for i, column in enumerate(frame.columns) if column.kind == "number" and i != place]
    bars = [i for i in bars if not _is_hidden(panel.settings(names[i], "number"))]
    if not any(row[i] is not None for row in frame.rows for i in bars):
        return None
    unit = panel.settings(names[place], frame.columns[place].kind)
    categories = [escape(_cut(show(row[place], unit.unit, unit.decimals))) for row in frame.rows]
    full = [escape(show(row[place], unit.unit, unit.decimals)) for row in frame.rows]
    orientation = panel.options.get("orientation") or "auto"
    horizontal = orientation == "horizontal" or (orientation == "auto" and max(map(len, categories)) > 14)
    settings = [panel.settings(names[i], "number") for i in bars]
    titles = [item.name or _words(names[i]) for i, item in zip(bars, settings, strict=True)]
    largest = max((abs(row[i]) for row in frame.rows for i in bars if row[i] is not None), default=0.0)
    how = scale(settings[0].unit, largest)
    figure = go.Figure()
    mode = str(panel.options.get("stacking") or "none")
    few = len(categories) * len(bars) <= 16 and panel.options.get("showValue") != "never"
    least_shown = 0.15 * largest if mode != "none" else 0.0
    positions = list(range(len(categories)))
    plain = _colours(settings)
    for i, item, title, colour in zip(bars, settings, titles, plain, strict=True):
        values = [None if row[i] is None else row[i] / how.divisor for row in frame.rows]
        steps = len([step for step in item.thresholds if step.value is not None])
        by_value = item.colour_mode == "thresholds" and steps and len(bars) == 1
        colours = [colour_code(item.colour_of(row[i]) or "blue") for row in frame.rows] if by_value else colour
        figure.add_bar(
            x=values if horizontal else positions,
            y=positions if horizontal else values,
            orientation="h" if horizontal else "v",
            name=escape(title),
            marker={"color": colours},
            text=[
                show(row[i], item.unit, item.decimals) if row[i] is not None and row[i] >= least_shown else ""
                for row in frame.rows
            ]
            if few
            else None,
            textposition="auto",
            textangle=0,
            textfont={"size": 11},
            customdata=full,
            hovertemplate=f"%{{customdata}}: %{{{'x' if horizontal else 'y'}:{how.form}}}{escape(how.suffix)}"
            f"<extra>{escape(title) if len(bars) > 1 else ''}</extra>",
        )
    # Two bars are no thicker than twenty.
    room = max(1, panel.height * GRID_UNIT - 100) / len(categories)
    gap = max(0.25, 1 - 36 * (1 if mode != "none" else len(bars)) / room) if horizontal else 0.12
    figure.update_layout(
        barmode="group" if mode == "none" else "relative",
        barnorm="percent" if mode == "percent" else None,
        uniformtext={"minsize": 9, "mode": "hide"},
        bargap=gap,
    )
    values_axis = {"tickformat": how.form, "ticksuffix": escape(how.suffix), "rangemode": "tozero", "nticks": 6}
    if settings[0].custom.get("axisLabel"):
        values_axis["title"] = escape(str(settings[0].custom["axisLabel"]))
    every = 1 if horizontal else max(1, math.ceil(len(positions) / 10))
    names_axis = {"tickvals": positions[::every], "ticktext": categories[::every], "showgrid": False}
    least = 80 + (26 if len(bars) == 1 or mode != "none" else 18 * len(bars)) * len(categories) if horizontal else 0
    if horizontal:
        # Where the page scrolls, the axis is at the top.
        side = "top" if least > 1.6 * GRID_UNIT * panel.height else "bottom"
        figure.update_xaxes(**values_axis, side=side)
        figure.update_yaxes(**names_axis, autorange="reversed", automargin=True)
    else:
        figure.update_yaxes(**values_axis, automargin=True)
        figure.update_xaxes(**names_axis, automargin=True)
    return _finished(figure, panel, list(zip(titles, plain, strict=True)), least)


# --------------------------------------------------------------------------------------- heat map and states


def _heatmap(panel: Panel, frames: Sequence[Frame], time_range: TimeRange) -> Drawing | None:
    lines = series_of(panel, frames, time_range)
    if not any(value is not None for line in lines for value in line.numbers):
        return None
    lines.sort(key=lambda line: line.name, reverse=True)
    times = sorted({time for line in lines for time in line.times})
    how = _scale(lines)
    cells = []
    for line in lines:
        known = dict(zip(line.times, line.numbers, strict=True))
        cells.append([None if (value := known.get(time)) is None else value / how.divisor for time in times])
    colour = panel.options.get("color") or {}
    scheme = str(colour.get("scheme") or "Oranges")
    figure = go.Figure()
    figure.add_heatmap(
        x=list(range(len(times))),
        y=list(range(len(lines))),
        z=cells,
        customdata=[[f"{escape(line.name)}<br>{show_time(time)}" for time in times] for line in lines],
        colorscale=scheme if scheme.lower() in named_colorscales() else "Oranges",
        reversescale=bool(colour.get("reverse")),
        zmin=None if colour.get("min") is None else colour["min"] / how.divisor,
        zmax=None if colour.get("max") is None else colour["max"] / how.divisor,
        xgap=1,
        ygap=1,
        hovertemplate=f"%{{customdata}}<br>%{{z:{how.form}}}{escape(how.suffix)}<extra></extra>",
        colorbar={
            "thickness": 10,
            "tickformat": how.form,
            "ticksuffix": escape(how.suffix),
            "outlinewidth": 0,
            "lenmode": "pixels",
            "len": 240,
            "y": 1,
            "yanchor": "top",
            "nticks": 5,
        },
    )
    every = max(1, math.ceil(len(times) / 6))
    figure.update_xaxes(
        tickvals=list(range(len(times)))[::every], ticktext=_time_labels(times)[::every], tickangle=0, showgrid=False
    )
    figure.update_yaxes(
        tickvals=list(range(len(lines))),
        ticktext=[escape(_cut(line.name, 26)) for line in lines],
        tickfont={"size": 10 if len(lines) > 20 else 12},
        showgrid=False,
        automargin=True,
    )
    return _finished(figure, panel, least=70 + (12 if len(lines) > 20 else 20) * len(lines))


def _states(panel: Panel, frames: Sequence[Frame], time_range: TimeRange) -> Drawing | None:
    """Draw each line as a bar of its states, each of which lasts until the next one begins."""
    lines = [line for line in series_of(panel, frames, time_range) if any(value is not None for value in line.values)]
    if not lines:
        return None
    lines.sort(key=lambda line: line.name, reverse=True)
    spans: dict[tuple[str, str], list[tuple[int, datetime, datetime]]] = {}
    for place, line in enumerate(lines):
        for value, start, end in _spans(line, time_range):
            text, colour = line.settings.mapped(value)
            shown = text or show(value, line.settings.unit, line.settings.decimals)
            if colour is None and isinstance(value, int | float):
                colour = line.settings.colour_of(value)
            spans.setdefault((shown, colour or ""), []).append((place, start, end))
    figure = go.Figure()
    names = [name for name, _ in spans]
    plain = _colours([FieldSettings()] * len(names))
    drawn = [colour_code(colour) if colour else other for (_, colour), other in zip(spans, plain, strict=True)]
    for (name, _), code, found in zip(spans, drawn, spans.values(), strict=True):
        figure.add_bar(
            orientation="h",
            name=escape(name),
            base=[_stamp(start) for _, start, _ in found],
            x=[(end - start).total_seconds() * 1000 for _, start, end in found],
            y=[place for place, _, _ in found],
            width=0.7,
            marker={"color": code},
            customdata=[
                f"{escape(lines[place].name)}: {escape(name)}<br>{show_time(start)} to {show_time(end)}"
                for place, start, end in found
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(type="date", range=_padded(time_range), nticks=6, tickangle=0)
    figure.update_yaxes(
        tickvals=list(range(len(lines))),
        ticktext=[escape(_cut(line.name)) for line in lines],
        showgrid=False,
        automargin=True,
    )
    return _finished(figure, panel, list(zip(names, drawn, strict=True)), 90 + 28 * len(lines))


def _spans(line: Series, time_range: TimeRange) -> list[tuple[Any, datetime, datetime]]:
    ends = [*line.times[1:], time_range.end]
    found: list[tuple[Any, datetime, datetime]] = []
    for value, start, end in zip(line.values, line.times, ends, strict=True):
        start, end = max(start, time_range.start), min(end, time_range.end)
        if value is None or start >= end:
            continue
        if found and found[-1][0] == value and found[-1][2] == start:
            found[-1] = (value, found[-1][1], end)
        else:
            found.append((value, start, end))
    return found


# -------------------------------------------------------------------------------------------- values and tables


def _values(panel: Panel, frames: Sequence[Frame], time_range: TimeRange) -> Drawing | None:
    """Show the last value (or another figure, as the panel says) of each column."""
    reduce: Mapping[str, Any] = panel.options.get("reduceOptions") or {}
    wanted = str(reduce.get("fields") or "")
    calculation = (reduce.get("calcs") or ["lastNotNull"])[0]
    shown: list[Shown] = []
    for frame in frames:
        if frame.target.format == "time_series":
            items = [(line.name, line.settings, line.values) for line in series_of(panel, [frame], time_range)]
        else:
            items = [
                (
                    (settings := panel.settings(column.name, column.kind)).name or _words(column.name),
                    settings,
                    tuple(row[i] for row in frame.rows),
                )
                for i, column in enumerate(frame.columns)
                if (regular_expression(wanted).search(column.name) if wanted else column.kind == "number")
            ]
        for name, settings, values in items:
            if _is_hidden(settings):
                continue
            chosen = list(values) if reduce.get("values") else [_reduced(values, str(calculation))]
            for value in chosen[: int(reduce.get("limit") or 25)]:
                item = _shown(value, settings, name)
                course = _course(values, item, panel) if len(chosen) == 1 else None
                shown.append(replace(item, course=course))
    if not shown or all(item.text == NO_VALUE for item in shown):
        return None
    if len(shown) == 1 and panel.options.get("textMode") != "value_and_name":
        shown = [replace(shown[0], name="")]
    return Drawing(values=tuple(shown))


def _reduced(values: Sequence[Any], calculation: str) -> Any:
    known = [value for value in values if value is not None]
    numbers = [value for value in known if isinstance(value, int | float)]
    if calculation in ("last", "lastNotNull", "first", "firstNotNull"):
        of = known if calculation.endswith("NotNull") else list(values)
        return (of[-1] if calculation.startswith("last") else of[0]) if of else None
    if calculation == "count":
        return len(values)
    if not numbers:
        return None
    calculations: dict[str, Callable[[list[float]], float]] = {"sum": math.fsum, "max": max, "min": min, "mean": fmean}
    return calculations[calculation](numbers) if calculation in calculations else numbers[-1]


def _shown(value: Any, settings: FieldSettings, name: str = "") -> Shown:
    text, colour = settings.mapped(value)
    if colour is None and isinstance(value, int | float):
        colour = settings.colour_of(value)
    colour = colour or ""
    plain = show(value, settings.unit, settings.decimals)
    return Shown(
        text=text if text is not None else settings.no_value if plain == NO_VALUE and settings.no_value else plain,
        name=name,
        level=_LEVELS.get(colour.rpartition("-")[2], ""),
        colour="" if colour in ("", "text", "transparent") else colour_code(colour),
    )


def _course(values: Sequence[Any], item: Shown, panel: Panel) -> go.Figure | None:
    numbers = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if panel.options.get("graphMode", "none") != "area" or len(numbers) < 3:
        return None
    colour = item.colour or BLUE
    figure = go.Figure()
    figure.add_scatter(
        y=numbers,
        mode="lines",
        line={"color": colour, "width": 1.5},
        fill="tozeroy",
        fillcolor=_with_opacity(colour, 0.12),
        hoverinfo="skip",
    )
    styled(figure, 44).update_layout(margin={"l": 0, "r": 0, "t": 2, "b": 2}, showlegend=False)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, rangemode="tozero" if min(numbers) >= 0 else "normal")
    return figure


def _table(panel: Panel, frames: Sequence[Frame], _time_range: TimeRange) -> Drawing | None:
    frame = frames[0]
    settings = [panel.settings(column.name, column.kind) for column in frame.columns]
    words = panel.settings().no_value
    places = [i for i, item in enumerate(settings) if not _is_hidden(item)]
    rows = [tuple(_cell(row[i], settings[i], words) for i in places) for row in frame.rows[:MOST_TABLE_ROWS]]
    table = Table(
        titles=tuple(settings[i].name or _words(frame.columns[i].name) for i in places),
        numeric=tuple(frame.columns[i].kind == "number" for i in places),
        rows=tuple(rows),
    )
    left = len(frame.rows) - len(rows)
    return Drawing(table=table, note=f"{left:,} more rows are not shown." if left else "")


def _cell(value: Any, settings: FieldSettings, panel_words: str) -> Shown:
    """Return a cell; what a panel says when it has no rows is not said in a cell of one."""
    shown = _shown(value, settings)
    if value is None and shown.text == settings.no_value and settings.no_value == panel_words:
        shown = replace(shown, text=NO_VALUE)
    most = MOST_WORD if not re.search(r"\s", shown.text) else MOST_TEXT
    shown = replace(shown, text=_cut(shown.text, most), whole=shown.text if len(shown.text) > most else "")
    cell = str((settings.custom.get("cellOptions") or {}).get("type", "auto"))
    mapped = settings.mapped(value)[1] is not None
    return shown if mapped or cell.startswith("color") else replace(shown, level="", colour="")


def _is_hidden(settings: FieldSettings) -> bool:
    custom = settings.custom
    return bool(custom.get("hidden") or (custom.get("hideFrom") or {}).get("viz"))


# ------------------------------------------------------------------------------------------- colours and looks


def colour_code(name: str) -> str:
    """Return the hex code of a colour as Grafana names it (``semi-dark-blue``), or a code as it is."""
    if name.startswith("#"):
        return name
    shade, _, base = name.rpartition("-")
    code = _NAMED.get(base)
    if code is None:
        return NEUTRAL
    part = _SHADES.get(shade, 0.0)
    towards = 255 if part > 0 else 0
    return "#" + "".join(f"{round(level + (towards - level) * abs(part)):02x}" for level in hex_to_rgb(code))


def _colours(settings: Sequence[FieldSettings]) -> list[str]:
    """Return a colour for each line: its own, or the next one of the palette."""
    free = count()
    return [colour_code(item.colour) if item.colour else PALETTE[next(free) % len(PALETTE)] for item in settings]


def _with_opacity(colour: str, opacity: float) -> str:
    red, green, blue = hex_to_rgb(colour)
    return f"rgba({red},{green},{blue},{opacity:.3g})"


def _finished(figure: go.Figure, panel: Panel, legend: Sequence[tuple[str, str]] = (), least: int = 0) -> Drawing:
    """Give a chart the page's style and its height; the legend, for more than one line, is the page's to show."""
    styled(figure, max(least, panel.height * GRID_UNIT - 56, 190))
    figure.update_layout(
        showlegend=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 24},
        hoverlabel={"bgcolor": "#262b33", "font": {"color": "#f2f3f5", "size": 12}, "bordercolor": "#262b33"},
    )
    figure.update_yaxes(automargin=True)
    figure.update_xaxes(automargin=True)
    wanted = len(legend) > 1 and (panel.options.get("legend") or {}).get("showLegend", True)
    return Drawing(chart=figure, legend=tuple(legend) if wanted else ())


def _padded(time_range: TimeRange) -> list[str]:
    """Return the ends of an axis of time, a little apart so that what lies on the ends is not cut off."""
    edge = (time_range.end - time_range.start) / 80
    return [_stamp(time_range.start - edge), _stamp(time_range.end + edge)]


def _stamp(time: datetime) -> str:
    """Return a time as plotly reads it: UTC, without a zone, of which it knows nothing."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _time_labels(times: Sequence[datetime]) -> list[str]:
    days = all(time.time().isoformat() == "00:00:00" for time in times)
    one_day = len(times) > 1 and times[-1] - times[0] < timedelta(days=1)
    return [f"{time:%d<br>%b}" if days else f"{time:%H:%M}" if one_day else f"{time:%d %b<br>%H:%M}" for time in times]


def _cut(text: str, most: int = 28) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_DRAWERS: dict[str, Callable[[Panel, Sequence[Frame], TimeRange], Drawing | None]] = {
    "timeseries": _timeseries,
    "stat": _values,
    "gauge": _values,
    "bargauge": _values,
    "barchart": _barchart,
    "heatmap": _heatmap,
    "state-timeline": _states,
    "table": _table,
}
