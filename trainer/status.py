"""What is live and how it does, in the terminal."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url
from trainer.deploy import require_schema
from trainer.sql import statement

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
        console = Console(highlight=False)
        print_health(found["health"], console)
        console.print(
            f"  bars {found['bars']:,}, events {found['events']:,} (scored {found['scored']:,}, "
            f"confirmed {found['confirmed']:,}, labelled {found['labelled']:,}), predictions {found['predictions']:,}"
        )
        for model in found["models"]:
            roles = f" ({', '.join(model['aliases'])})" if model["aliases"] else ""
            console.print(
                f"  model {model['version']}{roles}, {model['algorithm']}, registered {model['created_at'][:16]}"
            )
    if found["health"]["status"] == "critical":
        raise typer.Exit(1)


def print_health(health: dict[str, Any], console: Console) -> None:
    """Print a health report as a short table, problems first."""
    colour = _COLOURS[health["status"]]
    console.print(f"[bold {colour}]{health['status']}[/]", *(f"\n  {problem}" for problem in health["problems"]))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    latency = health["inference_latency_p50_ms"], health["inference_latency_p95_ms"]
    table.add_row("champion", f"{health['champion'] or 'none'} (loaded: {'yes' if health['model_loaded'] else 'no'})")
    table.add_row("ML", f"{'enabled' if health['ml_enabled'] else 'disabled'}, rollout {health['rollout_percent']:g} %")
    table.add_row(
        "last hour", f"{health['attempted']:,} events for ML, of them fallbacks: {_share(health['fallback_rate'])}"
    )
    if None not in latency:
        table.add_row("latency", f"p50 {latency[0]:.2f} ms, p95 {latency[1]:.2f} ms inside the INSERT")
    table.add_row("waiting for bars", f"{health['events_waiting_for_bars']:,} events")
    console.print(table)


def _share(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.1%}"
