"""The time range of the page, from what the user said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from trainer.dashboard.macros import TimeRange, parse_interval
from trainer.dashboard.queries import fetch_value
from trainer.errors import UserError
from trainer.selection import as_utc
from trainer.sql import package_text

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_USUAL_HOURS = (1, 3, 6, 12)


def time_range(
    since: str | None,
    now: datetime,
    connection: psycopg.Connection[Any] | None = None,
    usual: str = "now-24h",
) -> TimeRange:
    """Return the time range that ends now and begins at ``since``.

    That is a length (``90m``, ``24h``, ``7d``, ``4w``) or a time in ISO 8601, in UTC unless it says otherwise. None
    means the dashboard's usual range, or the last few hours if live scoring began in them, which the connection tells.

    Raises:
        UserError: it is neither, or it is not in the past, or too far in it.
    """
    if since is None:
        return TimeRange(now - _usual_length(connection, now, usual), now)
    if found := re.fullmatch(r"(\d+)([mhdw])", since.strip(), re.ASCII):
        try:
            start = now - timedelta(**{_UNITS[found[2]]: int(found[1])})
        except OverflowError:
            start = datetime.min.replace(tzinfo=UTC)
    else:
        try:
            start = as_utc(datetime.fromisoformat(since.strip())) or now
        except ValueError:
            raise UserError(
                f"--since {since} is not understood: give a length like 90m, 24h or 7d, or a time like 2026-01-31."
            ) from None
    if start >= now:
        raise UserError(f"--since {since} does not lie in the past: give a length of at least 1m, or an earlier time.")
    if start < EARLIEST:
        raise UserError(f"--since {since} begins before {EARLIEST:%Y-%m-%d}: give a shorter length, or a later time.")
    return TimeRange(start.astimezone(UTC), now)


def _usual_length(connection: psycopg.Connection[Any] | None, now: datetime, usual: str) -> timedelta:
    length = timedelta(seconds=parse_interval(usual.removeprefix("now-")) or 86400)
    try:
        first = fetch_value(connection, package_text("first_live_prediction.sql"), 2) if connection else None
    except psycopg.Error:
        if connection is None or connection.closed:
            raise
        first = None  # this role may not see the log, or it takes too long
    shorter = (timedelta(hours=hours) for hours in _USUAL_HOURS)
    return next((found for found in shorter if first and first > now - found and found < length), length)
