"""Stage backfill: score the events that have no score yet, in batches that are each a transaction."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import psycopg
import typer

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.progress import Progress, no_progress, progress_bar
from trainer.sql import statement

_BATCH = 2000


def backfill(
    connection: psycopg.Connection[Any],
    *,
    limit: int | None = None,
    dry_run: bool = False,
    batch: int = _BATCH,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score unscored events, oldest first, at most ``limit`` of them; a dry run counts and writes nothing.

    Every batch is committed by itself, so an interrupted run goes on where it stopped. Returns the counts: candidates,
    scored, not scored by reason, failed, and the first errors. Raises ``UserError`` when there is no champion or ML is
    disabled.
    """
    row = connection.execute(b"SELECT count(*) FROM public.pattern_events WHERE model_version IS NULL").fetchone()
    total = min(int(row[0]) if row else 0, limit if limit is not None else 2**31)
    candidates = scored = failed = 0
    reasons: Counter[str] = Counter()
    errors: list[dict[str, Any]] = []
    after: tuple[Any, Any] = (None, None)
    version = None
    while limit is None or candidates < limit:
        size = batch if limit is None else min(batch, limit - candidates)
        try:
            with connection.transaction():
                row = connection.execute(statement("backfill_batch"), (size, dry_run, *after)).fetchone()
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            said = str(error.diag.message_primary)
            raise UserError(f"{said[:1].upper()}{said[1:]}.") from error
        assert row is not None  # noqa: S101  a SELECT of a function gives one row
        result = row[0]
        version = result["model_version"]
        candidates += result["candidates"]
        scored += result["scored"]
        failed += result["failed"]
        reasons.update(result["not_scored"])
        errors += result["errors"][: max(0, 20 - len(errors))]
        after = (result["last_detected_at"], result["last_id"])
        progress("backfill", candidates, max(total, candidates))
        if result["candidates"] < size:
            break
    return {
        "dry_run": dry_run,
        "model_version": version,
        "candidates": candidates,
        "scored": scored,
        "not_scored": dict(reasons),
        "failed": failed,
        "errors": errors,
    }


def command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be scored; write nothing.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, metavar="N", help="Score at most N events; 0 or none: all.", show_default=False),
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Score the events that have no score yet, oldest first."""
    with connect(resolve_url(database_url), autocommit=True) as connection, progress_bar("events") as progress:
        require_schema(connection)
        connection.execute(b"SELECT ml.create_prediction_partitions()")
        report = backfill(connection, limit=limit or None, dry_run=dry_run, progress=progress)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        typer.echo(describe(report))
    if report["failed"]:
        raise typer.Exit(1)


def describe(report: dict[str, Any]) -> str:
    """Return the counts of a backfill, a line each."""
    verb = "would be scored" if report["dry_run"] else "scored"
    lines = [f"{report['scored']:,} of {report['candidates']:,} unscored events {verb} with {report['model_version']}"]
    lines += [f"{events:,} not scored: {reason}" for reason, events in sorted(report["not_scored"].items())]
    lines += [
        f"event {error['event_id']} failed: {error['message']} ({error['sqlstate']})" for error in report["errors"]
    ]
    if report["failed"] > len(report["errors"]):
        lines.append(f"{report['failed'] - len(report['errors']):,} more failed")
    return "\n".join(lines)
