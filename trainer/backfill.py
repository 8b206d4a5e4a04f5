"""Stage backfill: score the events that have no score yet, in batches that are each a transaction."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import psycopg
import typer

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url, sentence_of
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.progress import Progress, no_progress, progress_bar
from trainer.promote import champion
from trainer.sql import statement

_BATCH = 2000


class ScoringIsOffError(UserError):
    """There is a champion, but ML is disabled in the database."""


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
    scored, not scored by reason, failed, the first errors, and how many are still unscored. Raises ``UserError`` when
    there is no champion, and ``ScoringIsOffError`` when ML is disabled.
    """
    total = min(_unscored(connection), limit if limit is not None else 2**31)
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
            live = champion(connection) is not None
            raise (ScoringIsOffError if live and not dry_run else UserError)(sentence_of(error)) from error
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
        "unscored": _unscored(connection),
    }


def _unscored(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(b"SELECT count(*) FROM public.pattern_events WHERE model_version IS NULL").fetchone()
    return int(row[0]) if row else 0


def command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be scored; write nothing.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="Score at most N events; default: all.", show_default=False),
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Score the events that have no score yet, oldest first."""
    with (
        connect(resolve_url(database_url), autocommit=True) as connection,
        progress_bar("events", "scoring events") as progress,
    ):
        require_schema(connection)
        connection.execute(b"SELECT ml.create_prediction_partitions()")
        try:
            report = backfill(connection, limit=limit, dry_run=dry_run, progress=progress)
        except ScoringIsOffError as error:
            raise UserError(
                "ML is off in this database: run SELECT ml.enable('why') in psql, or use --dry-run."
            ) from error
    if as_json:
        typer.echo(json.dumps(as_json_report(report)))
    else:
        typer.echo(describe(report))
    if report["failed"]:
        raise typer.Exit(1)


def as_json_report(report: dict[str, Any]) -> dict[str, Any]:
    """Return the counts for scripts: a dry run has scored nothing, so its figure is called ``would_score``."""
    if not report["dry_run"]:
        return report
    return {("would_score" if name == "scored" else name): value for name, value in report.items()}


def describe(report: dict[str, Any]) -> str:
    """Return the counts of a backfill, a line each."""
    verb, rest = ("would be scored", "unscored now") if report["dry_run"] else ("scored", "still unscored")
    lines = [f"{report['scored']:,} events {verb} with {report['model_version']}; {report['unscored']:,} are {rest}"]
    lines += [f"{events:,} not scored: {reason}" for reason, events in sorted(report["not_scored"].items())]
    lines += [
        f"event {error['event_id']} failed: {error['message']} ({error['sqlstate']})" for error in report["errors"]
    ]
    if report["failed"] > len(report["errors"]):
        lines.append(f"{report['failed'] - len(report['errors']):,} more failed")
    return "\n".join(lines)
