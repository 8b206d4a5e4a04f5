"""The recurring jobs from the command line: what is due every minute and every night."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
import typer

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.selection import as_utc

_JOBS = {"tick": b"SELECT ml.tick(coalesce(%s, now()))", "nightly": b"SELECT ml.nightly(coalesce(%s, now()))"}

_ORDER = ("roll_up", "catch_up", "recount", "partitions", "drift", "performance", "alerts", "labels", "retention")

At = Annotated[
    datetime | None,
    typer.Option("--at", help="The time that the run is for (UTC); default: now.", show_default=False),
]


def run_job(connection: psycopg.Connection[Any], job: str, at: datetime | None = None) -> dict[str, Any]:
    """Run ``tick`` or ``nightly`` for a time, by default now, and return its report.

    Raises:
        UserError: the database is not migrated, or not far enough.
    """
    require_schema(connection)
    try:
        row = connection.execute(_JOBS[job], (at,)).fetchone()
    except psycopg.errors.UndefinedFunction:
        raise UserError(f"This database is of an older release, without recurring jobs: {MIGRATE}.") from None
    assert row is not None  # noqa: S101  a SELECT of a function gives one row
    return dict(row[0])


def tick_command(at: At = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Do what is due every minute: roll-ups and alerts; exit code 1 when a step failed."""
    _run("tick", at, database_url, as_json)


def nightly_command(at: At = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Do what is due every night: labels, drift, performance, retention; exit code 1 when a step failed."""
    _run("nightly", at, database_url, as_json)


def _run(job: str, at: datetime | None, database_url: str | None, as_json: bool) -> None:
    with connect(resolve_url(database_url), autocommit=True) as connection:
        time = as_utc(at)
        if time is not None:
            _warn_of_time_to_come(connection, time)
        report = run_job(connection, job, time)
    typer.echo(json.dumps(report) if as_json else describe(job, report))
    if report.get("failed"):
        raise typer.Exit(1)


def _warn_of_time_to_come(connection: psycopg.Connection[Any], time: datetime) -> None:
    row = connection.execute(b"SELECT clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM gives one row
    ahead = time - row[0]
    if ahead > timedelta(minutes=1):
        distance = timedelta(seconds=int(ahead.total_seconds()))
        typer.echo(
            f"Warning: --at {time:%Y-%m-%d %H:%M:%S%z} is {distance} ahead of the server's clock: what alerts say is "
            "of that time until the next run for now.",
            err=True,
        )


def describe(job: str, report: dict[str, Any]) -> str:
    """Return the report of a job, a line for each step."""
    if report["status"] == "skipped":
        return f"{job} skipped: {report['reason']}"
    lines = [f"{job} for {report['at']}"]
    for name in sorted(report["steps"], key=lambda step: (*_ORDER, step).index(step)):
        step = report["steps"][name]
        lines.append(f"  {name:12} {_describe_step(step)}".rstrip())
        if isinstance(step.get("problems"), list):
            lines += [f"  {'':12} {problem}" for problem in step["problems"]]
    retention = report["steps"].get("retention", {})
    waiting = retention.get("waiting_for_export")
    if waiting:
        weeks = f"{len(waiting)} weeks of the log wait" if len(waiting) > 1 else "1 week of the log waits"
        lines.append(f"{weeks} for `trainer export`: {', '.join(waiting)}")
    lines += [f"{week} stays in the log: {why}" for week, why in retention.get("problems", {}).items()]
    if report["failed"]:
        lines.append("Run it again when what failed is mended; the other steps are done.")
    return "\n".join(lines)


def _describe_step(step: dict[str, Any]) -> str:
    if step["status"] == "failed":
        return f"FAILED: {step['error']} ({step['sqlstate']})"
    if step["status"] == "skipped":
        return f"skipped: {step['reason']}"
    figures = [
        f"{name.replace('_', ' ')} {value:,}"
        for name, value in step.items()
        if name != "ms" and isinstance(value, int | float) and not isinstance(value, bool) and value
    ]
    if "rolled_up_until" in step:
        figures.append(
            f"rolled up until {datetime.fromisoformat(step['rolled_up_until']).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        )
    return f"{step['status']:12} {step['ms']:>8,} ms  {', '.join(figures)}"
