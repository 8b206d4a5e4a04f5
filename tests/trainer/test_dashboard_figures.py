"""Panels and their rows as figures: every number of the rows is in the figure, with the panel's units and colours."""

import json
import math
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_dashboard import HOUR, NOW, answer, at, dashboard_model, read

from trainer.dashboard.figures import NO_DATA, colour_code, draw, series_of
from trainer.dashboard.macros import Fill
from trainer.dashboard.panels import dashboard_file, read_dashboard, regular_expression
from trainer.dashboard.units import scale, show
from trainer.errors import UserError

LIMITS = {
    "mode": "absolute",
    "steps": [{"color": "green", "value": None}, {"color": "yellow", "value": 50}, {"color": "red", "value": 80}],
}
LINES = "time:time label:text value:number"


def stamps(times: list[datetime]) -> list[str]:
    return [f"{time:%Y-%m-%dT%H:%M:%S}.000" for time in times]


# ------------------------------------------------------------------------------------------------ time series


def test_lines_hold_the_rows_in_order_of_time_and_gaps_stay_gaps():
    panel = read("timeseries", defaults={"unit": "ms"})
    drawn = draw(
        answer(
            panel,
            LINES,
            (at(9), "b", 3.0),
            (at(1), "a", 1.0),
            (at(2), "a", None),
            (at(3), "a", math.nan),
            (at(0), "b", 2.0),
        )
    )
    traces = {trace.name: trace for trace in drawn.chart.data}
    assert set(traces) == {"a", "b"}
    assert (list(traces["b"].x), list(traces["b"].y)) == (stamps([at(0), at(9)]), [2.0, 3.0])
    assert list(traces["a"].y) == [1.0, None, None]
    assert traces["a"].connectgaps is False
    assert list(drawn.chart.layout.xaxis.range) == stamps(
        [at(0) - timedelta(seconds=45), at(60) + timedelta(seconds=45)]
    )
    assert drawn.chart.layout.yaxis.ticksuffix == " ms"
    assert [name for name, _ in drawn.legend] == ["b", "a"]
    assert len({colour for _, colour in drawn.legend}) == 2


def test_names_of_lines():
    rows = [(at(1), "insert", "v1", 1.0, 2.0)]
    columns = "time:time source:text version:text p50:number p95_ms:number"

    def names(columns: str, *rows, **changes) -> list[str]:
        panel = read("timeseries", **changes)
        return [line.name for line in series_of(panel, answer(panel, columns, *rows).frames, HOUR)]

    assert names(columns, *rows) == ["p50 insert, v1", "p95 ms insert, v1"]
    assert names(LINES, (at(1), "a", 1.0), (at(1), None, 1.0), (at(1), "", 1.0)) == ["a", "none", "none"]
    assert names("time:time p95_ms:number", (at(1), 2.0)) == ["p95 ms"]
    template = {"displayName": "${__field.labels.source}: ${__field.name}"}
    assert names(columns, *rows, defaults=template)[0] == "insert: p50 insert, v1"
    overrides = [
        {"matcher": {"id": "byName", "options": "p50"}, "properties": [{"id": "displayName", "value": "median"}]},
        {"matcher": {"id": "byRegexp", "options": "/^P95/i"}, "properties": [{"id": "displayName", "value": "slow"}]},
    ]
    assert names(columns, *rows, overrides=overrides) == ["median", "slow"]
    shown = [{"matcher": {"id": "byName", "options": "a"}, "properties": [{"id": "unit", "value": "s"}]}]
    panel = read("timeseries", overrides=shown)
    lines = series_of(panel, answer(panel, LINES, (at(1), "a", 1.0), (at(1), "b", 1.0)).frames, HOUR)
    assert [line.settings.unit for line in lines] == ["s", ""]


@pytest.mark.parametrize("power", [0, 3, 6, 9])
def test_times_may_be_seconds_of_the_epoch_or_finer(power):
    panel = read("timeseries")
    seconds = at(5).timestamp()
    (line,) = series_of(panel, answer(panel, "time:number v:number", (seconds * 10**power, 1.0)).frames, HOUR)
    assert line.times == (at(5),)
    none = answer(panel, "time:number v:number", (math.inf, 1.0), (None, 2.0), (1e30, 3.0))
    assert series_of(panel, none.frames, HOUR) == []
    assert draw(none).empty == NO_DATA


@pytest.mark.parametrize(
    ("mode", "value", "filled"),
    [
        ("null", None, [None, 1.0, None, 2.0]),
        ("previous", None, [None, 1.0, 1.0, 2.0]),
        ("value", 0.0, [0, 1.0, 0, 2.0]),
    ],
)
def test_intervals_without_a_row_are_filled(mode, value, filled):
    panel = read("timeseries")
    fill = Fill(900, mode, value)
    frames = answer(panel, "time:time v:number", (at(15), 1.0), (at(45), 2.0), (at(46), 9.0), fill=fill).frames
    (line,) = series_of(panel, frames, HOUR)
    known = dict(zip(line.times, line.values, strict=True))
    assert [known[at(minute)] for minute in (0, 15, 30, 45)] == filled
    assert known[at(46)] == 9.0  # rows between the intervals stay
    assert list(line.times) == sorted(line.times)
    assert known[at(60)] == {"null": None, "previous": 2.0, "value": 0.0}[mode]


def test_a_fill_that_is_too_fine_is_left_out():
    panel = read("timeseries")
    frames = answer(panel, "time:time v:number", (at(15), 1.0), fill=Fill(0.001, "null")).frames
    assert series_of(panel, frames, HOUR)[0].times == (at(15),)


def test_axes_units_thresholds_and_styles():
    overrides = [
        {
            "matcher": {"id": "byName", "options": "share"},
            "properties": [
                {"id": "unit", "value": "percentunit"},
                {"id": "custom.axisPlacement", "value": "right"},
                {"id": "color", "value": {"mode": "fixed", "fixedColor": "semi-dark-red"}},
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
            ],
        }
    ]
    custom = {
        "thresholdsStyle": {"mode": "dashed"},
        "fillOpacity": 20,
        "lineInterpolation": "stepAfter",
        "spanNulls": True,
        "axisLabel": "latency",
        "axisSoftMax": 9000,
    }
    panel = read(
        "timeseries", defaults={"unit": "ms", "min": 0, "thresholds": LIMITS, "custom": custom}, overrides=overrides
    )
    figure = draw(answer(panel, "time:time lat:number share:number", (at(1), 1500.0, 0.5), (at(2), 4000.0, 0.75))).chart
    latency, share = figure.data
    assert list(latency.y) == [1.5, 4.0]  # seconds, which are easier read
    assert figure.layout.yaxis.ticksuffix == " s"
    assert tuple(figure.layout.yaxis.range) == (0, 9)
    assert figure.layout.yaxis.title.text == "latency"
    assert (latency.line.shape, latency.fill, latency.connectgaps) == ("hv", "tozeroy", True)
    assert latency.fillcolor.endswith(",0.2)")
    assert (share.yaxis, share.line.dash, share.line.color) == ("y2", "dash", colour_code("semi-dark-red"))
    assert list(share.y) == [0.5, 0.75]
    assert figure.layout.yaxis2.tickformat == ".2~%"
    lines = figure.layout.shapes
    assert [(line.y0, line.line.color, line.line.dash) for line in lines] == [
        (0.05, colour_code("yellow"), "dash"),
        (0.08, colour_code("red"), "dash"),
    ]


def test_bars_are_stacked_and_as_wide_as_their_interval():
    custom = {"drawStyle": "bars", "stacking": {"mode": "normal"}}
    panel = read("timeseries", defaults={"custom": custom})
    figure = draw(
        answer(panel, LINES, (at(0), "a", 1.0), (at(5), "a", 2.0), (at(20), "a", 2.0), (at(0), "b", 4.0))
    ).chart
    assert {trace.type for trace in figure.data} == {"bar"}
    assert figure.layout.barmode == "stack"
    assert figure.data[0].width == 0.8 * 300_000
    assert figure.data[0].offset == -0.4 * 300_000
    one = draw(answer(panel, LINES, (at(0), "a", 1.0), step=900.0)).chart
    assert one.data[0].width == 0.8 * 900_000
    assert draw(answer(panel, LINES, (at(0), "a", 1.0))).chart.data[0].width == 0.8 * 60_000


def test_what_is_counted_by_the_hour_is_drawn_over_its_hour():
    bars = read("timeseries", defaults={"custom": {"drawStyle": "bars", "barAlignment": 1}})
    figure = draw(answer(bars, LINES, (at(0), "a", 1.0), step=900.0)).chart
    assert (figure.data[0].offset, figure.data[0].width) == (0, 0.8 * 900_000)
    steps = read("timeseries", defaults={"custom": {"lineInterpolation": "stepAfter"}})
    rows = ((at(0), "a", 1.0), (at(15), "a", 2.0), (at(45), "a", 3.0))
    line = draw(answer(steps, LINES, *rows, step=1200.0)).chart.data[0]
    assert list(line.x) == stamps([at(0), at(15), at(35), at(35), at(45), at(60), at(60)])  # the range ends at 60
    assert list(line.y) == [1, 2, 2, None, 3, 3, None]
    assert (line.mode, line.line.shape) == ("lines+markers", "hv")


def test_lines_of_thresholds_have_the_unit_of_the_axis_and_a_name():
    limits = {"steps": [{"color": "green"}, {"color": "red", "value": 100}]}
    settings = {"unit": "ms", "thresholds": limits, "custom": {"thresholdsStyle": {"mode": "line"}}}
    figure = draw(answer(read("timeseries", defaults=settings), "time:time v:number", (at(0), 0.25))).chart
    assert figure.layout.yaxis.ticksuffix == " ms"
    assert list(figure.data[0].y) == [0.25]
    assert not figure.layout.shapes  # too far above
    figure = draw(answer(read("timeseries", defaults=settings), "time:time v:number", (at(0), 30.0))).chart
    assert [note.text for note in figure.layout.annotations] == ["100 ms"]
    below = draw(answer(read("timeseries", defaults=settings | {"min": 0}), "time:time v:number", (at(0), 30.0))).chart
    options = below.layout.yaxis.autorangeoptions
    assert (options.clipmin, tuple(options.include), options.clipmax) == (0, (0,), None)
    plain = draw(answer(read("timeseries", defaults={"unit": "ms"}), "time:time v:number", (at(0), 0.25))).chart
    assert plain.layout.yaxis.ticksuffix == " µs"


def test_a_legend_leaves_out_what_is_hidden_there():
    overrides = [
        {"matcher": {"id": "byName", "options": "high"}, "properties": [
            {"id": "custom.hideFrom", "value": {"legend": True, "tooltip": False, "viz": False}}]},
        {"matcher": {"id": "byName", "options": "low"}, "properties": [
            {"id": "displayName", "value": "interval ${__field.labels.version}"}]},
    ]  # fmt: skip
    panel = read("timeseries", overrides=overrides)
    columns = "time:time version:text low:number high:number mid:number"
    drawing = draw(answer(panel, columns, (at(0), "", 1.0, 3.0, 2.0)))
    assert [name for name, _ in drawing.legend] == ["interval", "mid"]
    empty = draw(answer(panel, columns, (at(0), "", None, 3.0, 2.0)))
    assert empty.legend == ()  # one line is left, which needs none
    assert len(drawing.chart.data) == 3
    drawing = draw(answer(panel, columns, (at(0), "v1", 1.0, 3.0, 2.0), (at(0), "v2", 1.0, 3.0, 2.0)))
    assert [name for name, _ in drawing.legend] == ["interval v1", "mid v1", "interval v2", "mid v2"]


def test_cells_without_a_value_and_long_ones():
    panel = read("table", defaults={"noValue": "no run yet"})
    long, text = "X" * 60, "word " * 20
    table = draw(answer(panel, "a:text b:text n:number", (long, text, None), form="table")).table
    assert [(cell.text, cell.whole) for cell in table.rows[0]] == [("X" * 27 + "…", long), (text, ""), ("-", "")]
    assert draw(answer(panel, "a:text", form="table")).empty == "no run yet"


def test_stacked_lines_and_points():
    panel = read("timeseries", defaults={"custom": {"stacking": {"mode": "normal"}, "fillOpacity": 30}})
    assert {
        trace.stackgroup for trace in draw(answer(panel, LINES, (at(0), "a", 1.0), (at(0), "b", 4.0))).chart.data
    } == {"left"}
    points = read(
        "timeseries",
        defaults={"custom": {"drawStyle": "points", "scaleDistribution": {"type": "log", "log": 10}}, "min": 1},
    )
    figure = draw(answer(points, LINES, (at(0), "a", 10.0))).chart
    assert (figure.data[0].mode, figure.layout.yaxis.type, figure.layout.yaxis.range[0]) == ("markers", "log", 0)


# ------------------------------------------------------------------------------------- bars, heat map, states


def test_bar_charts_hold_every_number():
    panel = read("barchart", options={"xField": "reason", "orientation": "horizontal", "stacking": "normal"})
    drawn = draw(answer(panel, "n:number reason:text m:number", (3, "x" * 40, 1), (5, "y", None), form="table"))
    first, second = drawn.chart.data
    assert (list(first.x), list(second.x)) == ([3, 5], [1, None])
    assert (first.orientation, drawn.chart.layout.barmode) == ("h", "relative")
    assert list(drawn.chart.layout.yaxis.ticktext) == ["x" * 27 + "…", "y"]
    assert first.customdata[0] == "x" * 40
    assert [name for name, _ in drawn.legend] == ["n", "m"]
    upright = draw(answer(read("barchart"), "bin:text n:number", ("0.1", 3), ("0.2", 5), form="table"))
    assert list(upright.chart.data[0].y) == [3, 5]
    assert list(upright.chart.data[0].text) == ["3", "5"]
    assert upright.legend == ()
    numbers_only = draw(answer(read("barchart"), "bin:number n:number", (0.1, 3), form="table"))
    assert (list(numbers_only.chart.data[0].y), numbers_only.chart.layout.xaxis.ticktext) == ([3], ("0.1",))


def test_bars_in_the_colours_of_thresholds():
    panel = read("barchart", defaults={"thresholds": LIMITS, "color": {"mode": "thresholds"}})
    figure = draw(answer(panel, "k:text v:number", ("a", 10), ("b", 60), ("c", 90), form="table")).chart
    assert list(figure.data[0].marker.color) == [colour_code(name) for name in ("green", "yellow", "red")]


def test_a_heat_map_has_a_cell_for_each_line_and_time():
    panel = read("heatmap", options={"color": {"scheme": "YlOrRd", "min": 0, "max": 0.5, "reverse": True}})
    rows = [(at(0), "b", 0.1), (at(30), "b", 0.2), (at(30), "a", 0.4)]
    figure = draw(answer(panel, LINES, *rows)).chart
    (cells,) = figure.data
    assert [list(row) for row in cells.z] == [[0.1, 0.2], [None, 0.4]]
    assert list(figure.layout.yaxis.ticktext) == ["b", "a"]  # from below: in order when read
    assert (cells.zmin, cells.zmax, cells.reversescale) == (0, 0.5, True)
    assert draw(answer(read("heatmap", options={"color": {"scheme": "Nonsense"}}), LINES, *rows)).chart


def test_states_last_until_the_next_one():
    mappings = [
        {
            "type": "value",
            "options": {"0": {"text": "normal", "color": "green"}, "2": {"text": "firing", "color": "red"}},
        }
    ]
    panel = read("state-timeline", defaults={"mappings": mappings})
    rows = [
        (at(-30), "b", 0),
        (at(10), "b", 2),
        (at(20), "b", 2),
        (at(30), "b", 0),
        (at(40), "b", None),
        (at(5), "a", 2),
    ]
    drawn = draw(answer(panel, LINES, *rows))
    found = {
        (trace.name, place, base): length / 60_000
        for trace in drawn.chart.data
        for place, base, length in zip(trace.y, trace.base, trace.x, strict=True)
    }
    b, a = 0, 1
    assert found == {
        ("normal", b, stamps([at(0)])[0]): 10,
        ("firing", b, stamps([at(10)])[0]): 20,
        ("normal", b, stamps([at(30)])[0]): 10,
        ("firing", a, stamps([at(5)])[0]): 55,
    }
    assert dict(drawn.legend) == {"normal": colour_code("green"), "firing": colour_code("red")}
    words = draw(
        answer(read("state-timeline"), "time:time rule:text state:text", (at(0), "r", "up"), (at(1), "r", "down"))
    )
    assert {trace.name for trace in words.chart.data} == {"up", "down"}
    assert words.chart.layout.yaxis.ticktext == ("r",)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(-90, 90), st.sampled_from([0, 1, 2, None])), min_size=1, unique_by=lambda pair: pair[0]
    )
)
def test_states_cover_what_is_known_and_never_overlap(points):
    panel = read("state-timeline")
    drawn = draw(answer(panel, "time:time v:number", *((at(minute), value) for minute, value in points)))
    minutes = dict(points)
    expected = 0.0
    for minute in range(60):  # the state at each minute is the last one that was said
        before = [known for known in minutes if known <= minute]
        expected += bool(before) and minutes[max(before)] is not None
    if drawn.chart is None:
        assert expected == 0
        return
    spans = sorted(
        (datetime.fromisoformat(base), datetime.fromisoformat(base) + timedelta(milliseconds=length))
        for trace in drawn.chart.data
        for base, length in zip(trace.base, trace.x, strict=True)
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert sum((end - start).total_seconds() / 60 for start, end in spans) == pytest.approx(expected)


# --------------------------------------------------------------------------------------- values, tables, text


@pytest.mark.parametrize(
    ("calculation", "text"),
    [
        ("lastNotNull", "30 ms"), ("last", "-"), ("first", "90 ms"), ("max", "90 ms"), ("min", "0 ms"), ("mean", "40 ms"),
        ("sum", "120 ms"), ("count", "4 ms"), ("nonsense", "30 ms"),
    ],
)  # fmt: skip
def test_values_are_reduced_as_the_panel_says(calculation, text):
    panel = read("stat", defaults={"unit": "ms"}, options={"reduceOptions": {"calcs": [calculation]}})
    drawn = draw(answer(panel, "v:number", (90,), (0,), (30,), (None,), form="table"))
    assert (drawn.empty == NO_DATA) if text == "-" else ([value.text for value in drawn.values] == [text])


def test_values_have_the_colour_of_the_highest_threshold_that_they_reach():
    panel = read("stat", defaults={"unit": "percent", "thresholds": LIMITS, "decimals": 1})
    found = {}
    for number in (0, 49.99, 50, 80):
        (value,) = draw(answer(panel, "v:number", (number,), form="table")).values
        found[value.text] = value.level
    assert found == {"0.0 %": "yes", "50.0 %": "few", "80.0 %": "no"} | {"50.0 %": "few"}
    (blue,) = draw(
        answer(read("stat", defaults={"thresholds": {"steps": [{"color": "blue"}]}}), "v:number", (1,), form="table")
    ).values
    assert (blue.level, blue.colour) == ("", colour_code("blue"))


def test_values_in_words_and_of_several_columns():
    mappings = [
        {"type": "value", "options": {"healthy": {"text": "fine", "color": "green"}}},
        {"type": "regex", "options": {"pattern": "/^crit/", "result": {"text": "bad", "color": "red"}}},
        {"type": "range", "options": {"from": 1, "to": 2, "result": {"text": "one or two"}}},
        {"type": "special", "options": {"match": "null", "result": {"text": "unknown"}}},
    ]
    options = {"reduceOptions": {"fields": "/.*/", "calcs": ["last"]}}
    panel = read("stat", defaults={"mappings": mappings}, options=options)
    drawn = draw(answer(panel, "a_b:text c:text d:number e:number", ("healthy", "critical", 1.5, None), form="table"))
    assert [(value.name, value.text, value.level) for value in drawn.values] == [
        ("a b", "fine", "yes"), ("c", "bad", "no"), ("d", "one or two", ""), ("e", "unknown", ""),
    ]  # fmt: skip
    numbers = read("stat")
    assert [value.text for value in draw(answer(numbers, "a:text d:number", ("x", 1.5), form="table")).values] == [
        "1.5"
    ]
    every = read("stat", options={"reduceOptions": {"values": True}})
    assert [value.text for value in draw(answer(every, "d:number", (1,), (2,), form="table")).values] == ["1", "2"]


def test_a_value_of_a_series_shows_its_course():
    panel = read("stat", options={"graphMode": "area"})
    (value,) = draw(answer(panel, "time:time v:number", *((at(i), i * 2.0) for i in range(5)))).values
    assert value.text == "8"
    assert list(value.course.data[0].y) == [0, 2, 4, 6, 8]


def test_tables_show_every_cell():
    overrides = [
        {"matcher": {"id": "byName", "options": "rate"}, "properties": [
            {"id": "unit", "value": "percentunit"}, {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            {"id": "thresholds", "value": {"steps": [{"color": "green"}, {"color": "red", "value": 0.5}]}}]},
        {"matcher": {"id": "byName", "options": "secret"}, "properties": [{"id": "custom.hidden", "value": True}]},
        {"matcher": {"id": "byType", "options": "string"}, "properties": [{"id": "displayName", "value": "Name"}]},
        {"matcher": {"id": "byNames", "options": {"mode": "include", "names": ["n"]}},
         "properties": [{"id": "noValue", "value": "none"}]},
    ]  # fmt: skip
    panel = read("table", overrides=overrides)
    columns = "name:text rate:number secret:number day:time n:number"
    table = draw(answer(panel, columns, ("a", 0.9731, 1, at(0), None), ("b", 0.25, 1, NOW, 1234), form="table")).table
    assert table.titles == ("Name", "rate", "day", "n")
    assert table.numeric == (False, True, False, True)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["a", "97.3 %", "2026-03-29 11:00:00", "none"],
        ["b", "25 %", "2026-03-29 12:00:00", "1,234"],
    ]
    assert [row[1].level for row in table.rows] == ["no", "yes"]
    assert table.rows[0][0].level == ""
    many = draw(answer(read("table"), "n:number", *((i,) for i in range(250)), form="table"))
    assert (len(many.table.rows), many.note) == (100, "150 more rows are not shown.")


def test_what_is_not_drawn_is_said():
    panel = read("timeseries", defaults={"noValue": "no run yet"})
    assert draw(answer(panel, LINES)).empty == "no run yet"
    assert draw(answer(panel, LINES, (at(0), "a", None))).empty == "no run yet"
    assert draw(answer(read("barchart"), "k:text v:number", form="table")).empty == NO_DATA
    cut = draw(answer(read("table"), "n:number", (1,), form="table", cut=True))
    assert cut.note == "Only the first 1 rows: choose a shorter time range to see all."
    assert draw(answer(read("piechart"), "k:text v:number", ("a", 1), form="table")).table.rows


@pytest.mark.parametrize("kind", ["timeseries", "barchart", "heatmap", "state-timeline", "stat", "table"])
def test_names_from_outside_are_text_in_every_kind(kind):
    hostile = "</script><b onclick=x>&amp;"
    panel = read(kind, options={"orientation": "horizontal"})
    form = "time_series" if kind in ("timeseries", "heatmap", "state-timeline", "stat") else "table"
    drawn = draw(answer(panel, LINES, (at(0), hostile, 1.0), (at(5), hostile, 1.0), (at(5), "b", 1.0), form=form))
    if drawn.chart:
        assert hostile not in json.dumps(drawn.chart.to_plotly_json(), default=list, ensure_ascii=False)


# ----------------------------------------------------------------------------------------------------- units


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (12.345, "ms", None, "12.3 ms"), (0.2, "ms", None, "200 µs"), (2500, "ms", None, "2.5 s"), (90, "s", None, "90 s"),
        (300, "s", None, "5 min"), (7200, "s", None, "2 h"), (300000, "s", None, "3.47 d"), (0, "ms", None, "0 ms"), (0.0, "s", 1, "0.0 s"), (0, "m", None, "0 min"),
        (0.973, "percentunit", None, "97.3 %"), (0.973, "percentunit", 0, "97 %"), (1, "percentunit", 1, "100.0 %"),
        (12.5, "percent", None, "12.5 %"), (1536, "bytes", None, "1.5 KiB"), (1500, "decbytes", None, "1.5 kB"),
        (2**31, "bytes", None, "2 GiB"), (5, "gbytes", None, "5 GiB"), (1e6, "Bps", None, "1 MB/s"),
        (1234567, "short", None, "1.23 M"), (1234, "short", None, "1,234"), (0.123456, "", None, "0.1235"),
        (1e-7, "", None, "0.0000001"), (3, "suffix:events", None, "3 events"), (3, "cpm", None, "3/min"),
        (3, "reqps", None, "3 requests/s"), (3, "furlongs", None, "3 furlongs"), (3, "prefix:$", 2, "$3.00"),
        (None, "ms", None, "-"), (math.nan, "ms", None, "-"), (-math.inf, "ms", None, "-∞"), ("text", "ms", None, "text"),
        (NOW, "", None, "2026-03-29 12:00:00"), (NOW.timestamp() * 1000, "dateTimeAsIso", None, "2026-03-29 12:00:00"),
        (-1234.5, "ms", None, "-1.23 s"), ("string", "string", None, "string"), (4, "string", None, "4"),
    ],
)  # fmt: skip
def test_values_in_words(value, unit, decimals, text):
    assert show(value, unit, decimals) == text


@given(
    st.floats(1e-9, 1e12, allow_nan=False),
    st.sampled_from(["ms", "s", "µs", "bytes", "decbytes", "percentunit", "percent", ""]),
)
def test_what_is_shown_is_the_value_within_rounding(value, unit):
    """Read it back by the units' definitions."""
    number, _, name = show(value, unit).partition(" ")
    seconds = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}
    sizes = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12} | {
        f"{letter}iB": 1024.0**power for power, letter in enumerate("KMGT", 1)
    }
    factors = {**seconds, **sizes, "%": 0.01 if unit == "percentunit" else 1, "M": 1e6, "G": 1e9, "": 1}
    own = {"ms": 1e-3, "µs": 1e-6}.get(unit, 1)
    assert float(number.replace(",", "")) * factors[name] == pytest.approx(value * own, rel=0.006, abs=1e-9 * 0.51)


def test_axes_in_units():
    assert scale("ms", 250_000).suffix == " min"
    assert scale("bytes", 5e6)[:2] == (1024.0**2, " MiB")
    assert scale("short", 10).suffix == ""
    assert scale("cpm", 10).suffix == "/min"


# ---------------------------------------------------------------------------------------------- reading panels


def test_a_dashboard_is_read_with_its_rows_and_variables(tmp_path):
    file = tmp_path / "d.json"
    file.write_text(json.dumps(dashboard_model()))
    dashboard = read_dashboard(file)
    assert [(section.title, [panel.number for panel in section.panels]) for section in dashboard.sections] == [
        ("First row", [1, 2, 3, 4]),
        ("Second row: $kind", [5, 6, 7, 8]),
    ]
    assert [variable.name for variable in dashboard.variables] == ["kind", "one", "several"]
    assert dashboard.variables[1].options == ("a", "b")
    assert dashboard.variables[2].query.startswith("SELECT i")
    assert dashboard.since == "now-6h"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"title": "x", "panels": [{"type": "stat"}]}', '{"title": 1, "panels": 2}']
)
def test_what_is_no_dashboard_is_a_sentence(tmp_path, text):
    file = tmp_path / "d.json"
    file.write_text(text)
    with pytest.raises(UserError, match="is not a Grafana dashboard"):
        read_dashboard(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_dashboard(tmp_path / "none.json")


def test_hidden_targets_are_not_asked_and_panels_may_have_their_own_range():
    from small_dashboard import model

    from trainer.dashboard.panels import _panel

    stored = model("stat", "SELECT 1", "SELECT 2", timeFrom="7d", interval="1m", maxDataPoints=100)
    stored["targets"][0]["hide"] = True
    panel = _panel(stored)
    assert [target.sql for target in panel.targets] == ["SELECT 2"]
    assert (panel.time_from, panel.least_interval, panel.points) == (7 * 86400, 60, 100)


def test_regular_expressions_of_grafana():
    assert regular_expression("/^A/i").search("abc")
    assert not regular_expression("/^A/").search("abc")
    assert regular_expression("b.").search("abc")


@pytest.mark.parametrize("name", ["green", "semi-dark-green", "super-light-blue", "#abcdef", "nonsense", "dark-text"])
def test_every_colour_has_a_code(name):
    code = colour_code(name)
    assert len(code) == 7
    int(code[1:], 16)
    assert len({colour_code(f"{shade}blue") for shade in ("dark-", "semi-dark-", "", "light-", "super-light-")}) == 5


def test_the_shipped_dashboard_uses_what_can_be_drawn():
    dashboard = read_dashboard(dashboard_file())
    kinds = {"stat", "timeseries", "barchart", "table", "heatmap", "state-timeline", "text"}
    assert {panel.kind for panel in dashboard.panels()} <= kinds
    stored = json.loads(dashboard_file().read_text())
    assert not any(panel.get("transformations") for panel in stored["panels"])
