"""The page: one HTML file with all panels, which needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import psycopg

from trainer.dashboard.macros import TimeRange, Variable, replace_variables
from trainer.dashboard.overview import Overview, overview
from trainer.dashboard.panels import Dashboard
from trainer.dashboard.queries import Answer, resolve_variables, run_panel
from trainer.dashboard.units import show_time
from trainer.pages.rendering import environment, report_packages

if TYPE_CHECKING:
    import jinja2
    import markupsafe
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Snapshot:
    """What a dashboard's queries said at one time."""

    taken_at: datetime
    time_range: TimeRange
    overview: Overview
    answers: Mapping[int, Answer]
    variables: Mapping[str, Variable]


def take_snapshot(
    connection: psycopg.Connection[Any],
    dashboard: Dashboard,
    time_range: TimeRange,
    chosen: Mapping[str, Sequence[str]] | None = None,
    seconds: float = 10.0,
) -> Snapshot:
    """Run all queries of a dashboard, one after the other, with a limit of so many seconds each.

    A panel whose query fails has an answer that says so; a lost connection is an ``OperationalError``.
    """
    variables = resolve_variables(connection, dashboard, time_range, chosen or {}, seconds)
    return Snapshot(
        taken_at=datetime.now(UTC),
        time_range=time_range,
        overview=overview(connection, seconds),
        answers={
            panel.number: run_panel(connection, panel, time_range, variables, seconds) for panel in dashboard.panels()
        },
        variables=variables,
    )


@dataclass(frozen=True)
class Serving:
    """What a page that is served needs: how often it asks for a newer one, in seconds, and where plotly is."""

    every: float
    script: str


def render(
    dashboard: Dashboard, snapshot: Snapshot | None, *, serving: Serving | None = None, interruption: str = ""
) -> str:
    """Return the page.

    Args:
        dashboard: the panels.
        snapshot: what their queries said; None before that is known.
        serving: set for a page that refreshes itself; else everything is in the file.
        interruption: a sentence that says why the snapshot is old or missing.

    Raises:
        UserError: a package is missing.
    """
    template = page_template()
    from trainer.dashboard.figures import Drawing, draw

    texts = {name: Variable(_text(variable)) for name, variable in (snapshot.variables if snapshot else {}).items()}
    drawings: dict[int, Drawing] = {}
    if snapshot:
        drawings = {number: draw(answer) for number, answer in snapshot.answers.items()}
    labels = {variable.name: variable.label for variable in dashboard.variables}
    return template.render(
        dashboard=dashboard,
        snapshot=snapshot,
        drawings=drawings,
        serving=serving,
        interruption=interruption,
        chosen=[(labels[name], text.value) for name, text in texts.items()],
        titled=lambda text: replace_variables(text, texts),
        period=_period,
        show_time=show_time,
    )


def _text(variable: Variable) -> str:
    if variable.is_all:
        return "All"
    value = variable.value
    return str(value) if isinstance(value, str | int | float) else ", ".join(value)


def _period(time_range: TimeRange) -> str:
    seconds = round((time_range.end - time_range.start).total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count, rest = divmod(seconds, length)
        if count and not rest and (unit, count) != ("day", 1):
            return f"last {count} {unit}s" if count > 1 else f"last {unit}"
    return f"since {show_time(time_range.start)} UTC"


@lru_cache(maxsize=1)
def page_template() -> jinja2.Template:
    """Return the template of the page.

    Raises:
        UserError: a package is missing.
    """
    with report_packages("The dashboard"):
        import markdown_it
        import markupsafe
        from jinja2.utils import htmlsafe_json_dumps

        from trainer.dashboard import figures as figures

        templates = environment("trainer.dashboard")
    markdown = markdown_it.MarkdownIt("commonmark", {"html": False})

    def chart_json(figure: go.Figure) -> markupsafe.Markup:
        return htmlsafe_json_dumps(figure, dumps=lambda drawn, **_: drawn.to_json())

    templates.filters |= {
        "chart_json": chart_json,
        "markdown": lambda text: markupsafe.Markup(markdown.render(text)),  # noqa: S704  (HTML in it is escaped)
    }
    return templates.get_template("dashboard.html")
