"""What figures, sentences, tables and charts call the same things."""

from __future__ import annotations

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

RANKS_BY = {
    "D1": "the chance that the nearer target comes before the nearer stop",
    "HIT": "the chance that the target is touched in time (volatility, not direction)",
    "RX": "the chance of a wide range (volatility, not direction)",
}
_RANKS_BY_DEFAULT = "the chance of a large-enough favourable move in time"


def ranks_by(label: str) -> str:
    """Say what a model of a label ranks events by: neither direction nor returns."""
    return RANKS_BY.get(label, _RANKS_BY_DEFAULT)


def market_name(row: dict[str, Any]) -> str:
    """Return the name of a market in ``per_market``, or of the small ones taken together."""
    if "others" in row:
        return f"{row['others']} others together"
    return f"{row['symbol']} {row['timeframe']}" if "timeframe" in row else str(row["symbol"])
