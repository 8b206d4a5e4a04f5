"""Options that several stages share: which symbols, timeframes and times."""

from datetime import UTC, datetime
from typing import Annotated

import typer

Symbols = Annotated[
    list[str] | None, typer.Option("--symbol", metavar="SYMBOL", help="Only this symbol; repeat for more.")
]
Timeframes = Annotated[
    list[str] | None,
    typer.Option("--timeframe", metavar="TIMEFRAME", help="Only this timeframe; repeat for more."),
]
Since = Annotated[datetime | None, typer.Option("--since", help="Only events detected at or after this time (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Only events detected before this time (UTC).")]


def as_utc(time: datetime | None) -> datetime | None:
    """Return the time in UTC, which is what a time without a zone means."""
    return time if time is None or time.tzinfo else time.replace(tzinfo=UTC)
