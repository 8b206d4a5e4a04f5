"""How plots look. Colours of text and grid are the page's, light or dark; those of the data suit both."""

from __future__ import annotations

import plotly.graph_objects as go

BLUE, ORANGE, GREEN, VIOLET, PINK = "#3b7de0", "#e0802f", "#2fa37c", "#9a72d6", "#cf5b86"
PALETTE = (BLUE, ORANGE, GREEN, VIOLET, PINK, "#3fa9c4", "#b08b2e", "#7d8794")
NEUTRAL = "#8b929c"
GRID = "rgba(128,128,128,0.25)"


def styled(figure: go.Figure, height: int) -> go.Figure:
    """Give a figure the page's fonts, colours and margins, and the height in pixels."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 12, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
        legend={"orientation": "h", "yanchor": "top", "y": -0.14 * 420 / height, "x": 0},
        hovermode="closest",
        dragmode=False,
    )
    # On a phone a finger on the chart scrolls the page.
    for update in (figure.update_xaxes, figure.update_yaxes):
        update(fixedrange=True, gridcolor=GRID, zeroline=False, title_standoff=8, title_font_size=13)
    return figure
