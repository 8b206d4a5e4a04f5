"""The charts of the report, from ``evaluation.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from trainer.evaluation.bootstrap import TOO_FEW
from trainer.evaluation.names import PARTS, SCORES, market_name
from trainer.pages.plots import BLUE, GREEN, NEUTRAL, ORANGE, PINK, VIOLET, styled

COLOURS = {"calibrated": BLUE, "rule_confidence": ORANGE, "volatility": GREEN, "prior": VIOLET, "blended": PINK}
PART_COLOURS = {"holdout": COLOURS["calibrated"], "walk_forward": "#8fb4ee"}
ROW_HEIGHT = 34


def roc(evaluation: Mapping[str, Any]) -> go.Figure:
    """Return the ROC curves of model and baselines on the holdout."""
    figure = go.Figure()
    for score, points in _curves(evaluation, "roc"):
        area = evaluation["holdout"]["auc"][score]["value"]
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="lines",
            name=f"{SCORES[score]} ({area:.3f})",
            line={"color": COLOURS[score], "width": 3 if score == "calibrated" else 1.5},
        )
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="chance (0.500)", line={"color": NEUTRAL, "dash": "dot"})
    figure.update_xaxes(title="false positive rate", range=[0, 1])
    figure.update_yaxes(title="true positive rate", range=[0, 1])
    return styled(figure, 460)


def precision_recall(evaluation: Mapping[str, Any]) -> go.Figure:
    """Return precision over recall of model and baselines on the holdout, beside the base rate."""
    holdout = evaluation["holdout"]
    figure = go.Figure()
    for score, points in _curves(evaluation, "precision_recall"):
        average = holdout["average_precision"][score]["value"]
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="lines",
            name=f"{SCORES[score]} ({average:.3f})",
            line={"color": COLOURS[score], "width": 3 if score == "calibrated" else 1.5},
        )
    rate = holdout["base_rate"]["value"]
    figure.add_scatter(
        x=[0, 1], y=[rate, rate], mode="lines", name=f"base rate ({rate:.3f})", line={"color": NEUTRAL, "dash": "dot"}
    )
    figure.update_xaxes(title="recall", range=[0, 1])
    figure.update_yaxes(title="precision", range=[0, min(1.0, 2.2 * rate)])
    return styled(figure, 460)


def _curves(evaluation: Mapping[str, Any], kind: str) -> list[tuple[str, list[list[float]]]]:
    curves = evaluation["holdout"]["curves"]
    return [(score, curves[score][kind]) for score in COLOURS if curves.get(score)]


def reliability(evaluation: Mapping[str, Any]) -> go.Figure:
    """Return observed frequency over predicted probability, and below it how many events lie where."""
    bins = evaluation["holdout"]["reliability"]
    equal = bins["equal_counts"]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.75, 0.25], vertical_spacing=0.06)
    predicted = [found["predicted"] for found in equal]
    observed = [found["observed"]["value"] for found in equal]
    ends = [found["observed"][end] for found in equal for end in ("low", "high")]
    edges = [*predicted, *observed, *(end for end in ends if end is not None)]
    low, high = max(0.0, min(edges) - 0.03), min(1.0, max(edges) + 0.03)
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="calibrated perfectly",
        line={"color": NEUTRAL, "dash": "dot"},
        row=1,
        col=1,
    )
    figure.add_scatter(
        x=predicted,
        y=observed,
        error_y=_bars([found["observed"] for found in equal]),
        mode="markers+lines",
        name="tenths, equally many events in each",
        marker={"color": COLOURS["calibrated"], "size": 8},
        line={"color": COLOURS["calibrated"], "width": 1},
        customdata=[[found["events"], found["wins"]] for found in equal],
        hovertemplate="predicted %{x:.3f}, won %{y:.3f}: %{customdata[1]:,} of %{customdata[0]:,}<extra></extra>",
        row=1,
        col=1,
    )
    widths = bins["equal_widths"]
    figure.add_bar(
        x=[found["predicted"] for found in widths],
        y=[found["events"] for found in widths],
        text=[f"{found['events']:,}" for found in widths],
        textposition="outside",
        cliponaxis=False,
        name="events per bin of width 0.1",
        marker={"color": PART_COLOURS["walk_forward"]},
        width=0.02,
        hovertemplate="%{y:,} events<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_xaxes(range=[low, high])
    figure.update_xaxes(title="predicted probability of win", row=2, col=1)
    figure.update_yaxes(title="share that won", range=[low, high], row=1, col=1)
    figure.update_yaxes(title="events", range=[0, 1.35 * max(found["events"] for found in widths)], row=2, col=1)
    return styled(figure, 560)


def blocks(evaluation: Mapping[str, Any]) -> go.Figure:
    """Return the AUC of model, volatility and rule in every block of the walk-forward and on the holdout."""
    found = [*evaluation["walk_forward"]["blocks"], *evaluation["holdout"]["blocks"]]
    names = [f"{block['start'][:7]} to<br>{block['end'][:7]}" for block in found]
    names[-1] += "<br><b>holdout</b>"
    figure = go.Figure()
    series = {"calibrated": [block["auc"] for block in found]}
    for score in ("volatility", "rule_confidence"):
        series[score] = [block["baselines"][score] for block in found]
    for place, (score, areas) in enumerate(series.items()):
        figure.add_scatter(
            x=[position + 0.14 * (place - 1) for position in range(len(found))],
            y=[area["value"] for area in areas],
            error_y=_bars(areas),
            mode="markers",
            name=SCORES[score],
            marker={"color": COLOURS[score], "size": 10 if score == "calibrated" else 7},
            hovertemplate="%{y:.3f}<extra></extra>",
        )
    figure.add_hline(y=0.5, line={"color": NEUTRAL, "dash": "dot"})
    figure.update_xaxes(tickvals=list(range(len(found))), ticktext=names)
    figure.update_yaxes(title="AUC")
    return styled(figure, 420)


def markets(evaluation: Mapping[str, Any]) -> go.Figure:
    """Return a forest plot: the AUC within each market, of all events, and the mean within markets."""
    parts = {part: evaluation[part] for part in ("holdout", "walk_forward")}
    rows: dict[str, dict[str, Any]] = {}
    for part, figures in parts.items():
        for market in figures["per_market"]:
            rows.setdefault(escape(market_name(market)), {})[part] = market["auc"]
    rows["mean within markets"] = {part: figures["auc_within_symbol"] for part, figures in parts.items()}
    rows["all events"] = {part: figures["auc"]["calibrated"] for part, figures in parts.items()}
    return _forest(rows, "AUC", 0.5)


def patterns(evaluation: Mapping[str, Any]) -> go.Figure:
    """Return a forest plot: the AUC within each pattern type that has enough events."""
    rows: dict[str, dict[str, Any]] = {}
    for part in ("holdout", "walk_forward"):
        for pattern in evaluation[part]["per_pattern"]:
            if "others" not in pattern:
                rows.setdefault(escape(pattern["pattern_type"]), {})[part] = pattern["auc"]
    rows["all events"] = {part: evaluation[part]["auc"]["calibrated"] for part in ("holdout", "walk_forward")}
    return _forest(rows, "AUC", 0.5)


def _forest(rows: Mapping[str, Mapping[str, Any]], title: str, chance: float) -> go.Figure:
    figure = go.Figure()
    names = list(rows)
    for part, offset in (("walk_forward", -0.13), ("holdout", 0.13)):
        present = [(place, rows[name][part]) for place, name in enumerate(names) if part in rows[name]]
        present = [(place, area) for place, area in present if area["value"] is not None]
        figure.add_scatter(
            x=[area["value"] for _, area in present],
            y=[len(names) - 1 - place + offset for place, _ in present],
            error_x=_bars([area for _, area in present]),
            mode="markers",
            name=PARTS[part],
            marker={
                "color": PART_COLOURS[part],
                "size": 9,
                "symbol": ["circle-open" if area.get("verdict") == TOO_FEW else "circle" for _, area in present],
            },
            hovertemplate="%{x:.3f}<extra></extra>",
        )
    figure.add_vline(x=chance, line={"color": NEUTRAL, "dash": "dot"})
    figure.update_xaxes(title=title)
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names[::-1], range=[-0.6, len(names) - 0.4])
    figure.update_yaxes(automargin=True)
    return styled(figure, 130 + ROW_HEIGHT * len(names))


def confirmations(evaluation: Mapping[str, Any]) -> go.Figure:
    """Return wins per win of the rule, at equally many confirmations, over the share that is confirmed."""
    curve = evaluation["holdout"]["true_positive_curve"]
    figure = go.Figure()
    for place, (key, score) in enumerate(
        {"model_to_rule": "calibrated", "blended_to_rule": "blended", "volatility_to_rule": "volatility"}.items()
    ):
        shares = [100 * cut["share"] + 0.7 * (place - 1) for cut in curve]
        figure.add_scatter(
            x=shares,
            y=[cut[key]["value"] for cut in curve],
            error_y=_bars([cut[key] for cut in curve]) if score == "calibrated" else None,
            mode="markers+lines",
            name=SCORES[score],
            marker={"color": COLOURS[score], "size": 8 if score == "calibrated" else 5},
            line={"color": COLOURS[score], "width": 2 if score == "calibrated" else 1},
            customdata=[cut["events"] for cut in curve],
            hovertemplate="%{y:.2f} times the rule's wins, of %{customdata:,} each<extra></extra>",
        )
    figure.add_hline(y=1, line={"color": NEUTRAL, "dash": "dot"})
    figure.add_hline(y=1.1, line={"color": COLOURS["rule_confidence"], "dash": "dash", "width": 1})
    figure.update_xaxes(title="share of the events that is confirmed, %")
    figure.update_yaxes(title="wins per win of the rule")
    return styled(figure, 420)


def _bars(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return error bars of the intervals; none where an interval is withheld."""

    def length(figure: Mapping[str, Any], end: str) -> float:
        return 0.0 if figure[end] is None or figure["value"] is None else abs(figure[end] - figure["value"])

    return {
        "type": "data",
        "symmetric": False,
        "array": [length(figure, "high") for figure in figures],
        "arrayminus": [length(figure, "low") for figure in figures],
        "thickness": 1.2,
        "width": 3,
    }
