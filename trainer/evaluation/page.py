"""The report: one HTML file that needs nothing else, made of ``evaluation.json`` alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trainer.evaluation.bootstrap import TOO_FEW
from trainer.evaluation.checks import AS_EXPECTED, MET, NOT_AS_EXPECTED
from trainer.evaluation.conclusions import NO_CLAIM, OPPOSITE, SHOWN, shown, shown_gain
from trainer.evaluation.names import PARTS, SCORES, market_name, ranks_by
from trainer.pages.rendering import environment, report_packages

CANDIDATE_COLUMNS = {
    "log_loss": ("log loss", "{:.5f}"),
    "behind_best": ("behind the best", "{:+.5f}"),
    "standard_error": ("standard error", "{:.5f}"),
    "operations_per_row": ("operations per row in SQL", "{:,}"),
    "microseconds_per_row": ("expected us per row in SQL", "{:,.0f}"),
    "blocks": ("blocks", "{}"),
    "seconds": ("seconds to fit", "{:.1f}"),
}
"""Titles and formats; a column is there if a candidate has it."""
MARKS = {SHOWN: "yes", MET: "yes", AS_EXPECTED: "yes", OPPOSITE: "no", NOT_AS_EXPECTED: "no", TOO_FEW: "few"}
"""Classes of a verdict's look; any other is that of what is not shown."""


def render(evaluation: Mapping[str, Any]) -> str:
    """Return the page.

    An evaluation that was stored by an earlier version lacks some parts, and the page is as much shorter.

    Raises:
        UserError: plotly or Jinja2 is not installed.
    """
    with report_packages("The report"):
        import markupsafe

        from trainer.evaluation import charts

        templates = environment("trainer.evaluation")

    def chart(name: str) -> markupsafe.Markup:
        draw: Callable[[Mapping[str, Any]], Any] = getattr(charts, name)
        html = draw(evaluation).to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=f"chart-{name}",
            config={"displayModeBar": False, "responsive": True},
        )
        return markupsafe.Markup(html)  # noqa: S704  (plotly escapes what it is given)

    def unbroken(show: Callable[..., str]) -> Callable[..., markupsafe.Markup]:
        return lambda *arguments: markupsafe.Markup('<span class="figure">{}</span>').format(show(*arguments))

    templates.filters |= {
        "shown": unbroken(shown),
        "gain": unbroken(shown_gain),
        "day": lambda time: str(time)[:10],
        "market": market_name,
        "parameter": _parameter,
        "mark": lambda verdict: MARKS.get(verdict, "open"),
    }
    return templates.get_template("report.html").render(
        evaluation=evaluation,
        parts={part: evaluation[part] for part in ("holdout", "walk_forward")},
        part_names=PARTS,
        scores=SCORES,
        ranks_by=ranks_by(evaluation.get("label", "TB2"), evaluation.get("label_kind")),
        no_claim=NO_CLAIM,
        candidate_columns={
            name: column
            for name, column in CANDIDATE_COLUMNS.items()
            if any(name in row for row in evaluation.get("candidate_table", []))
        },
        chart=chart,
    )


def _parameter(value: Any) -> str:
    """Return a hyper-parameter in words; of the members of an ensemble, their names."""
    if isinstance(value, list):
        return ", ".join(str(item["name"]) if isinstance(item, Mapping) else str(item) for item in value)
    return str(value)
