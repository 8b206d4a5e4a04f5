"""Stage backfill: score the events that have no score yet, in batches that are each a transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg

from trainer.errors import UserError
from trainer.sql import statement

_BATCH = 2000


def backfill(
    connection: psycopg.Connection[Any],
    *,
    limit: int | None = None,
    dry_run: bool = False,
    batch: int = _BATCH,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
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
