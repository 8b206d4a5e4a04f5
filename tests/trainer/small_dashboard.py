"""A small dashboard in Grafana's JSON, with one panel of each kind, and answers to its queries."""

from datetime import UTC, datetime, timedelta
from typing import Any

from trainer.dashboard.macros import TimeRange
from trainer.dashboard.panels import Panel, _panel
from trainer.dashboard.queries import Answer, Column, Frame, Target

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
HOUR = TimeRange(NOW - timedelta(hours=1), NOW)
SERIES = """
    SELECT $__timeFrom()::timestamptz + i * interval '10 minutes' AS time, label, i::float8 AS value
    FROM generate_series(1, 5) AS i, unnest(ARRAY['a', 'b']) AS label ORDER BY 1
"""


def model(kind: str, *queries: str, number: int = 1, form: str = "table", **changes: Any) -> dict[str, Any]:
    """Return a panel as Grafana stores it; ``defaults`` and ``overrides`` are those of its fields."""
    return {
        "id": number,
        "type": kind,
        "title": f"A {kind}",
        "description": f"What a {kind} shows.",
        "gridPos": {"x": 0, "y": number, "w": 12, "h": 8},
        "targets": [{"refId": "ABC"[i], "rawSql": query, "format": form} for i, query in enumerate(queries)],
        "fieldConfig": {"defaults": changes.pop("defaults", {}), "overrides": changes.pop("overrides", [])},
        **changes,
    }


def read(kind: str, **changes: Any) -> Panel:
    """Return a panel of a kind without queries."""
    return _panel(model(kind, **changes))


def answer(panel: Panel, columns: str, *rows: tuple[Any, ...], form: str = "time_series", **frame: Any) -> Answer:
    """Return an answer to a panel: ``columns`` are names with kinds, as in ``time:time label:text value:number``."""
    parsed = tuple(Column(*text.split(":")) for text in columns.split())
    return Answer(panel, HOUR, (Frame(Target("A", "", form), parsed, rows, **frame),))


def at(minute: int) -> datetime:
    """Return a time of the hour."""
    return HOUR.start + timedelta(minutes=minute)


def dashboard_model() -> dict[str, Any]:
    """Return a dashboard with a row of each way to write one, and a variable of each kind."""
    limits = {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 80}]}
    panels = [
        {"id": 90, "type": "row", "title": "First row", "gridPos": {"y": 0}},
        model("stat", "SELECT 42.5::float8 AS value", number=1, defaults={"unit": "ms", "thresholds": limits}),
        model("timeseries", SERIES, number=2, form="time_series", defaults={"unit": "ms"}),
        model("barchart", "SELECT label, 3 AS one, 4 AS two FROM unnest(ARRAY['x', 'y']) AS label", number=3),
        model("table", "SELECT 'row' AS name, now() AS at, NULL::float8 AS nothing, true AS flag", number=4),
        {
            "id": 91,
            "type": "row",
            "title": "Second row: $kind",
            "collapsed": True,
            "gridPos": {"y": 10},
            "panels": [
                model("heatmap", SERIES, number=5, form="time_series"),
                model("state-timeline", SERIES, number=6, form="time_series"),
                model("text", number=7, options={"mode": "markdown", "content": "**Bold** and $kind <i>x</i>"}),
                model("table", "SELECT $kind AS kind, '${one}' AS one, '${several:csv}' AS two", number=8),
            ],
        },
    ]
    variables = [
        {"name": "DS", "type": "datasource", "query": "postgres"},
        {
            "name": "kind",
            "label": "Kind",
            "type": "query",
            "query": "SELECT 'k' || i FROM generate_series(1, 3) AS i",
            "multi": False,
            "includeAll": True,
            "allValue": "'all'",
            "current": {"value": "$__all"},
        },
        {"name": "one", "type": "custom", "query": "a, b", "current": {"value": "b"}},
        {
            "name": "several",
            "type": "query",
            "query": {"rawSql": "SELECT i FROM generate_series(1, 3) AS i WHERE i < 3 ORDER BY i DESC"},
            "multi": True,
            "includeAll": True,
            "current": {"value": ["$__all"]},
        },
    ]
    return {
        "title": "Small",
        "description": "For tests.",
        "uid": "small",
        "panels": panels,
        "templating": {"list": variables},
        "time": {"from": "now-6h", "to": "now"},
    }
