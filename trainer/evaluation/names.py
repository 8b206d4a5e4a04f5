"""What figures, sentences, tables and charts call the same things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCORES = {
    "calibrated": "model",
    "blended": "model blended with rule",
    "rule_confidence": "rule score",
    "prior": "pattern prior",
    "volatility": "volatility, 1 variable",
}
BASELINES = {"rule_confidence": "the rule score", "prior": "the pattern prior", "volatility": "volatility alone"}
DIRECTIONS = ("bullish", "bearish")
PARTS = {"walk_forward": "walk-forward", "holdout": "holdout"}

TRUE_POSITIVE_GOAL = 1.10
"""Wins among the model's confirmations per win among equally many of the rule's, that the project asks for."""

KINDS = {"TB2": "barriers", "D1": "barriers", "HIT": "target", "RX": "range", "analyst": "analyst"}
"""What kind of definition a label of ours has: ``barriers`` (target and stop), ``target`` (no stop), ``range`` or
``analyst``; for other labels the database says it."""

RANKS_BY = {
    "TB2": "the chance of a large-enough favourable move in time",
    "D1": "the chance that the nearer target comes before the nearer stop",
    "HIT": "the chance that the target is touched in time (volatility, not direction)",
    "RX": "the chance of a wide range (volatility, not direction)",
}
_RANKS_BY_KIND = {
    "barriers": "the chance that the target comes before the stop, in time",
    "target": RANKS_BY["HIT"],
    "range": RANKS_BY["RX"],
    "analyst": "the chance that a person judges the outcome a win",
}


def ranks_by(label: str, kind: str | None = None) -> str:
    """Say what a model of a label, whose definition is of a kind, ranks events by: neither direction nor returns."""
    of_kind = _RANKS_BY_KIND.get(kind or KINDS.get(label, ""), f"the chance of the outcome win by the label {label}")
    return RANKS_BY.get(label, of_kind)


def win_against(label: str, kind: str | None, class_counts: Mapping[str, int]) -> str:
    """Say which outcomes a win is told from: those that the definition knows, else those that were counted."""
    others = {"barriers": ["loss", "timeout"], "target": ["timeout"], "range": ["timeout"]}.get(
        kind or KINDS.get(label, ""), [name for name in ("loss", "timeout") if class_counts[name]]
    )
    return f"win against {' and '.join(others) or 'everything else'}"


def market_name(row: dict[str, Any]) -> str:
    """Return the name of a market in ``per_market``, or of the small ones taken together."""
    if "others" in row:
        return f"{row['others']} others together"
    return f"{row['symbol']} {row['timeframe']}" if "timeframe" in row else str(row["symbol"])
