"""Stage backfill: score the events that have no score yet, in batches that are each a transaction."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import psycopg
import typer

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url, sentence_of
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.progress import Progress, no_progress, progress_bar
from trainer.promote import champion
from trainer.sql import statement

_BATCH = 2000
_COUNTS = ("candidates", "scored", "failed", "skipped")


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
    """Score unscored events, oldest first, until ``limit`` are scored; a dry run counts and writes nothing.

    Every batch is a transaction, so a run that was interrupted or killed is gone on with by the next one, and several
    at the same time share the work. An event that fails is recorded in ``ml_backfill_errors`` and tried once in a run.

    Returns the counts: candidates, scored, not scored by reason, failed with the first errors, skipped (another session
    was changing them), still unscored, errors open in ``ml_backfill_errors``; and ``check``, what the run has left in
    events and log (None after a dry run).

    Raises:
        ScoringIsOffError: ML is disabled.
        UserError: there is no champion, or the server failed; what was scored before stays scored.
    """
    if not _value(connection, b"SELECT to_regclass('public.ml_backfill_errors') IS NOT NULL"):
        raise UserError(f"This database has not been migrated to the current schema: {MIGRATE}.")
    since = _value(connection, b"SELECT clock_timestamp()")
    total = min(_unscored(connection), limit if limit is not None else 2**31)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    errors: list[dict[str, Any]] = []
    after: tuple[Any, Any] = (None, None)
    version = None
    while limit is None or counts["scored"] < limit:
        size = batch if limit is None else min(batch, limit - counts["scored"])
        try:
            with connection.transaction():
                row = connection.execute(statement("backfill_batch"), (size, dry_run, *after)).fetchone()
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            live = champion(connection) is not None
            raise (ScoringIsOffError if live and not dry_run else UserError)(sentence_of(error)) from error
        except psycopg.errors.InsufficientPrivilege:
            raise
        except psycopg.Error as error:
            raise UserError(_stopped(error, counts["scored"], dry_run=dry_run)) from error
        assert row is not None  # noqa: S101  a SELECT of a function gives one row
        result = row[0]
        version = result["model_version"]
        counts.update({name: result[name] for name in _COUNTS})
        reasons.update(result["not_scored"])
        errors += result["errors"][: max(0, 20 - len(errors))]
        after = (result["last_detected_at"], result["last_id"])
        progress("backfill", counts["candidates"], max(total, counts["candidates"]))
        if result["candidates"] < size:
            break
    return {
        "dry_run": dry_run,
        "model_version": version,
        **{name: counts[name] for name in _COUNTS},
        "not_scored": dict(reasons),
        "errors": errors,
        "unscored": _unscored(connection),
        "open_errors": _value(connection, b"SELECT count(*) FROM public.ml_backfill_errors WHERE resolved_at IS NULL"),
        "check": None if dry_run else _value(connection, statement("backfill_check"), {"since": since}),
    }


def _stopped(error: psycopg.Error, scored: int, *, dry_run: bool) -> str:
    """Say what the server said, and what has become of the events."""
    said = error.diag.message_primary
    if error.sqlstate is None or said is None or isinstance(error, psycopg.errors.AdminShutdown):
        said = "the connection to the server was lost"
    kept = "nothing was written" if dry_run else f"the {scored:,} events scored before it stay scored"
    return (
        f"{said[:1].upper()}{said[1:].rstrip('.')}; {kept}: run the backfill again when that is mended, it goes on "
        "where it stopped."
    )


def _value(connection: psycopg.Connection[Any], query: bytes, parameters: dict[str, Any] | None = None) -> Any:
    row = connection.execute(query, parameters).fetchone()
    return None if row is None else row[0]


def _unscored(connection: psycopg.Connection[Any]) -> int:
    return int(_value(connection, b"SELECT count(*) FROM public.pattern_events WHERE model_version IS NULL"))


def command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be scored; write nothing.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, metavar="N", help="Stop after N scored events; default: all.", show_default=False
        ),
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
    if report["open_errors"]:
        lines.append(f"{report['open_errors']:,} errors are open: see table ml_backfill_errors")

    if report["skipped"]:
        lines.append(f"{report['skipped']:,} left alone: another session was changing them; run the backfill again")
    check = report["check"]
    if check is not None and report["scored"]:
        lines.append(
            f"checked: {check['logged']:,} in the log since the start, {check['with_features']:,} with features, "
            f"{check['with_support_distance_pct']:,} with support_distance_pct, "
            f"{check['without_blended_confidence']:,} without blended confidence, "
            f"{check['used_for_training']:,} used for training; {check['lost_by_the_log']:,} lost by the log"
        )
    return "\n".join(lines)
