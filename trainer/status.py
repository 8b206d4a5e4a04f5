"""What is live and how it does, in the terminal."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url
from trainer.deploy import require_schema
from trainer.progress import output
from trainer.sql import statement

FEWEST_ATTEMPTS = 20
"""Below this many attempts a rate says nothing; ``ml_health`` does not warn either."""

_DECISIONS = ("disabled", "not_in_rollout")  # why the rule alone was asked: no fallbacks
_COLOURS = {"healthy": "green", "degraded": "yellow", "critical": "red"}


def status(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Return the health report, the counts of bars, events and predictions, and the models that are registered."""
    require_schema(connection)
    row = connection.execute(statement("status")).fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM gives one row
    return dict(row[0])


def command(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Say what is live and how it does; exit code 1 when the status is critical."""
    with connect(resolve_url(database_url), autocommit=True) as connection:
        found = status(connection)
    if as_json:
        typer.echo(json.dumps(found))
    else:
        console = output()
        print_health(found["health"], console)
        print_counts(found, console)
    if found["health"]["status"] == "critical":
        raise typer.Exit(1)


def print_health(health: dict[str, Any], console: Console) -> None:
    """Print a health report as a short table, problems first; whatever is unknown is said to be."""
    colour = _COLOURS.get(health["status"], "red")
    console.print(f"[bold {colour}]{health['status']}[/]")
    for problem in health["problems"]:
        console.print(Padding(str(problem), (0, 0, 0, 2)), markup=False)
    rollout, threshold = health["rollout_percent"], health.get("confidence_threshold")
    rows = [
        ("champion", f"{health['champion'] or 'none'} (loaded: {'yes' if health['model_loaded'] else 'no'})"),
        (
            "ML",
            f"{'enabled' if health['ml_enabled'] else 'disabled'}, "
            f"rollout {'unknown' if rollout is None else f'{rollout:g} %'}, "
            f"confirmed from {'unknown' if threshold is None else f'{threshold:.3g}'}",
        ),
        ("last hour", _attempts(health)),
    ]
    if health["challenger"]:
        share = f"canary {health['canary_percent']:g} %" if health["canary_percent"] else "in shadow"
        rows.insert(1, ("challenger", f"{health['challenger']}, {share}"))
    if health["circuit_breaker"] and health["circuit_breaker"]["state"] != "closed":
        rows.append(("circuit breaker", str(health["circuit_breaker"]["state"]).replace("_", " ")))
    latency = health["inference_latency_p50_ms"], health["inference_latency_p95_ms"]
    if None not in latency:
        rows.append(("latency", f"p50 {latency[0]:.2f} ms, p95 {latency[1]:.2f} ms inside the INSERT"))
    rows.append(("waiting for bars", f"{health['events_waiting_for_bars'] or 0:,} events"))
    _print_rows(rows, console)


def print_counts(found: dict[str, Any], console: Console) -> None:
    """Print how much there is of everything, and the models."""
    by = found["predictions_by"]
    rows = [
        ("bars", f"{found['bars']:,}"),
        (
            "events",
            f"{found['events']:,}: {found['scored']:,} scored, {found['confirmed']:,} confirmed, "
            f"{found['labelled']:,} labelled",
        ),
        (
            "predictions",
            f"{found['predictions']:,}: {by['live']:,} live by ML, {by['rule']:,} live by the rule alone, "
            f"{by['backfill']:,} backfilled"
            + (f", {by['shadow']:,} in shadow" if by["shadow"] else "")
            + (f", {by['external']:,} external" if by["external"] else ""),
        ),
    ]
    for model in found["models"]:
        roles = f" ({', '.join(model['aliases'])})" if model["aliases"] else ""
        rows.append(
            ("model", f"{model['version']}{roles}, {model['algorithm']}, registered {model['created_at'][:16]}")
        )
    _print_rows(rows, console)


def _print_rows(rows: list[tuple[str, str]], console: Console) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=16, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(Padding(table, (0, 0, 0, 2), expand=False), markup=False)


def _attempts(health: dict[str, Any]) -> str:
    attempted = health["attempted"] or 0
    if not attempted:
        return "no live event was for ML to score"
    said = f"{attempted:,} live event{'s' if attempted > 1 else ''} for ML to score"
    reasons = ", ".join(
        f"{reason} {events:,}"
        for reason, events in sorted((health["fallback_reasons"] or {}).items())
        if reason not in _DECISIONS
    )
    if attempted < FEWEST_ATTEMPTS or health["fallback_rate"] is None:
        return f"{said}: too few to judge" + (f" ({reasons})" if reasons else "")
    return f"{said}, fallbacks {health['fallback_rate']:.1%}" + (f" ({reasons})" if reasons else "")
