"""Export the log to Parquet: weeks that are past their retention, or a copy of any time.

A week that has left the log (``ml.apply_retention``) is written to a file, read back and compared, and only then
recorded in ``ml_archives`` and dropped. Columns keep their values: numbers and arrays of them as they are, times in UTC
with microseconds, ``jsonb``, ``uuid`` and every type without a counterpart as the text that Postgres gives.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg import sql

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url, sentence_of
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.progress import Progress, no_progress, progress_bar
from trainer.selection import as_utc
from trainer.sql import statement

DEFAULT_FOLDER = Path("ml_archive")
BATCH = 10_000
"""Rows of one row group: what is in memory at a time."""


@dataclass(frozen=True)
class Exported:
    """One file: what is in it, and how to know it again."""

    source: str
    file: str
    rows: int
    bytes: int
    sha256: str
    first: str | None
    last: str | None
    dropped: bool


@dataclass(frozen=True)
class _Source:
    """A relation to read, its column of time, and the bounds of that column."""

    relation: sql.Composable
    name: str
    time: str
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> sql.Composable:
        parts: list[sql.Composable] = [sql.SQL("true")]
        if self.since:
            parts.append(sql.SQL("{} >= {}").format(sql.Identifier(self.time), sql.Literal(self.since)))
        if self.until:
            parts.append(sql.SQL("{} < {}").format(sql.Identifier(self.time), sql.Literal(self.until)))
        return sql.SQL(" AND ").join(parts)


def parquet() -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``; a UserError when they are not installed."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UserError("The package pyarrow is not installed: pip install 'pattern-confidence[archive]'.") from None


def export_weeks(
    connection: psycopg.Connection[Any], folder: Path, *, batch: int = BATCH, progress: Progress = no_progress
) -> Iterator[Exported]:
    """Write every week that has left the log to ``folder``, record it and drop it; yields each as it is done.

    An interrupted run leaves finished weeks recorded and the others as they were. A week that cannot be exported, or
    that another export is at, does not stop the others.

    Raises:
        UserError: the folder cannot be written; or, after all others are done, which weeks were left and why.
    """
    weeks = _waiting_weeks(connection)
    left: dict[str, str] = {}
    for week in weeks:
        try:
            done = _export_week(connection, week, folder, batch, progress)
        except _NotWritableError:
            raise
        except UserError as error:
            left[week] = str(error)
        except psycopg.errors.LockNotAvailable:
            left[week] = f"{week} is in use, most likely by another export that is running: run it again later."
        except psycopg.errors.UndefinedTable:
            left[week] = f"{week} has gone."
        else:
            yield done
    still = set(_waiting_weeks(connection)) if left else set()
    # What has gone meanwhile was exported by another session.
    reasons = [why for week, why in left.items() if week in still]
    if reasons:
        count = f"{len(reasons)} of {len(weeks)} weeks were not exported. " if len(weeks) > 1 else ""
        raise UserError(count + " ".join(reasons))


class _NotWritableError(UserError):
    """The folder takes no file: true for all that is to be exported."""


def _waiting_weeks(connection: psycopg.Connection[Any]) -> list[str]:
    return [str(row[0]) for row in connection.execute(statement("archived_weeks")).fetchall()]


def _export_week(
    connection: psycopg.Connection[Any], week: str, folder: Path, batch: int, progress: Progress
) -> Exported:
    """Write, record and drop one week."""
    source = _Source(sql.Identifier("ml_archive", week), week, "predicted_at")
    done = write(connection, source, folder / f"{week}.parquet", batch=batch, progress=progress, dropped=True)
    try:
        connection.execute(
            statement("record_archive"), (week, done.rows, done.first, done.last, done.file, done.bytes, done.sha256)
        )
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        raise UserError(f"{sentence_of(error)} The file {done.file} stays; run trainer export again.") from error
    return done


def export_copy(
    connection: psycopg.Connection[Any],
    what: str,
    folder: Path,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    batch: int = BATCH,
    progress: Progress = no_progress,
) -> Exported:
    """Write a copy of a table, or of the rows of a time; nothing is dropped, a file of the same name is replaced.

    Args:
        connection: an open connection in autocommit mode.
        what: ``ml_predictions``, ``pattern_events``, ``ml_metrics_1m`` or ``ml_metrics_1h``.
        folder: where the file goes; made when it is not there.
        since: only rows from this time on.
        until: only rows before this time.
        batch: rows of a row group.
        progress: told of the rows written.

    Raises:
        UserError: the folder or the file cannot be written.
    """
    time = {"ml_predictions": "predicted_at", "pattern_events": "detected_at"}.get(what, "bucket")
    bounds = [
        moment.strftime("%Y%m%dT%H%M%SZ") if moment else other for moment, other in ((since, "all"), (until, "end"))
    ]
    name = f"{what}_{bounds[0]}_{bounds[1]}" if since or until else what
    source = _Source(sql.Identifier("public", what), name, time, since, until)
    return write(connection, source, folder / f"{name}.parquet", batch=batch, progress=progress, replace=True)


def write(
    connection: psycopg.Connection[Any],
    source: _Source,
    file: Path,
    *,
    batch: int,
    progress: Progress,
    dropped: bool = False,
    replace: bool = False,
) -> Exported:
    """Write one file under another name, read it back, compare, and only then give it its name."""
    pa, pq = parquet()
    file = file.absolute()
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with connection.transaction():
                # The count and the rows are of one moment.
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                if dropped:
                    # Two exports at a time share the weeks: only one can have this lock, and readers do not mind it.
                    connection.execute(
                        sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT").format(source.relation)
                    )
                rows, first, last, digest = _write_part(connection, source, part, pa, pq, batch, progress)
            if _digest_of_file(part, pq) != (rows, digest):
                raise UserError(f"{part} was read back and is not what was written: check the disk, and run it again.")
            if file.exists() and not replace:
                _require_same(file, pq, (rows, digest))
            sha256 = _sha256(part)
            size = part.stat().st_size
            part.replace(file)
            _sync_folder(file.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _NotWritableError(
            f"{file} cannot be written ({error.strerror or error}): make room or name another folder with --to; "
            "nothing was dropped."
        ) from error
    except psycopg.DataError as error:
        raise UserError(
            f"{source.name} has a time that a Parquet file cannot hold ({str(error).partition(':')[0]}): "
            "correct it in the table; nothing was dropped."
        ) from error
    return Exported(source.name, str(file), rows, size, sha256, _iso(first), _iso(last), dropped)


def _write_part(
    connection: psycopg.Connection[Any], source: _Source, part: Path, pa: Any, pq: Any, batch: int, progress: Progress
) -> tuple[int, datetime | None, datetime | None, str]:
    """Write the rows in order of time; return how many, the first and last time, and a digest of the values."""
    time = sql.Identifier(source.time)
    summary = connection.execute(
        sql.SQL("SELECT count(*), min({}), max({}) FROM {} WHERE {}").format(
            time, time, source.relation, source.condition()
        )
    ).fetchone()
    total, first, last = summary or (0, None, None)
    columns = connection.execute(statement("columns_to_export"), (source.relation.as_string(connection),)).fetchall()
    fields = [_field(str(name), str(kind), pa) for name, kind in columns]
    schema = pa.schema([pa.field(field.name, field.arrow) for field in fields])
    # Rows of the same time in the same order at every reading: the digest depends on it.
    keys = [name for name, _ in columns if name in ("id", "source", "role", "model_version")]
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join(field.expression for field in fields),
        source.relation,
        source.condition(),
        sql.SQL(", ").join([time, *(sql.Identifier(name) for name in keys)]),
    )
    digest = hashlib.sha256()
    done = 0
    with part.open("xb") as output:
        with contextlib.ExitStack() as stack:
            writer = pq.ParquetWriter(output, schema, compression="zstd")
            stack.push(_close_after_success(writer))
            cursor = stack.enter_context(connection.cursor("export", binary=True))
            cursor.itersize = batch
            cursor.execute(query)
            while rows := cursor.fetchmany(batch):
                arrays = [
                    pa.array(values, field.arrow) for field, values in zip(fields, zip(*rows, strict=True), strict=True)
                ]
                table = pa.Table.from_arrays(arrays, schema=schema)
                _add(digest, table, pa)
                writer.write_table(table, row_group_size=batch)
                done += len(rows)
                progress(source.name, done, total)
        output.flush()
        os.fsync(output.fileno())
    if done != total:
        raise UserError(f"{source.name} has {total:,} rows and {done:,} were read: run it again.")
    return done, first, last, digest.hexdigest()


def _close_after_success(writer: Any) -> Callable[..., bool]:
    """Close a writer; after an error, without the error that closing adds to it."""

    def close(kind: type[BaseException] | None, *_: object) -> bool:
        with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
            writer.close()
        return False

    return close


@dataclass(frozen=True)
class _Field:
    """A column: its name, how it is selected, and its Arrow type."""

    name: str
    expression: sql.Composable
    arrow: Any


def _field(name: str, kind: str, pa: Any) -> _Field:
    column = sql.Identifier(name)
    kinds = {
        "double precision": pa.float64(),
        "double precision[]": pa.list_(pa.float64()),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "bigint[]": pa.list_(pa.int64()),
        "boolean": pa.bool_(),
        "text": pa.string(),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    }
    if kind in kinds:
        return _Field(name, column, kinds[kind])
    return _Field(name, sql.SQL("{}::text").format(column), pa.string())


def _digest_of_file(file: Path, pq: Any) -> tuple[int, str]:
    """Return how many rows a file has and the digest of their values, one row group at a time."""
    pa, _ = parquet()
    digest = hashlib.sha256()
    with pq.ParquetFile(file) as written:
        for group in range(written.num_row_groups):
            _add(digest, written.read_row_group(group), pa)
        return written.metadata.num_rows, digest.hexdigest()


def _add(digest: Any, table: Any, pa: Any) -> None:
    """Add the values of some rows to a digest, whatever buffers they lie in; NaN is a value, NULL another."""
    for column in table.combine_chunks().columns:
        array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        digest.update(array.is_null().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_list(array.type):
            digest.update(array.value_lengths().fill_null(-1).to_numpy(zero_copy_only=False).tobytes())
            array = array.flatten()
            digest.update(array.is_null().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_string(array.type):
            digest.update(json.dumps(array.to_pylist()).encode())
        elif pa.types.is_timestamp(array.type):
            digest.update(array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).tobytes())
        else:
            digest.update(
                array.fill_null(False if pa.types.is_boolean(array.type) else 0)
                .to_numpy(zero_copy_only=False)
                .tobytes()
            )


def _require_same(file: Path, pq: Any, expected: tuple[int, str]) -> None:
    """Refuse to write over a file that holds something else: the archive of another database, say."""
    try:
        same = _digest_of_file(file, pq) == expected
    except Exception:  # whatever it is, it is no archive of this week
        same = False
    if not same:
        raise UserError(f"{file} exists already and holds other rows: move it, or name another folder with --to.")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a renaming in a folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


# ------------------------------------------------------------------------------------------------ command line


def command(
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the files go.")] = DEFAULT_FOLDER,
    since: Annotated[
        datetime | None,
        typer.Option("--since", help="A copy of what is logged from this time on (UTC).", show_default=False),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", help="A copy of what is logged before this time (UTC).", show_default=False),
    ] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="A copy of the roll-ups by minute and by hour.")] = False,
    events: Annotated[bool, typer.Option("--events", help="A copy of the events, ml_metadata included.")] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Write what leaves the log to Parquet files, then drop it; or copies of what is asked for, which drop nothing.

    What leaves the log are the weeks past ml_settings.retention_predictions, moved to schema ml_archive every night. A
    week is dropped only after its file was read back and recorded in ml_archives.
    """
    parquet()
    since, until = as_utc(since), as_utc(until)
    if since and until and since >= until:
        raise UserError("--since is not before --until: give a time that ends after it starts.")
    tables = ["ml_metrics_1m", "ml_metrics_1h"] if metrics else []
    tables += ["pattern_events"] if events else []
    if not tables and (since or until):
        tables = ["ml_predictions"]
    done: list[Exported] = []
    problem: UserError | None = None
    with (
        connect(resolve_url(database_url), autocommit=True) as connection,
        progress_bar("rows", "looking for what to export") as progress,
    ):
        require_schema(connection)
        row = connection.execute("SELECT to_regclass('public.ml_archives') IS NULL").fetchone()
        if row == (True,):
            raise UserError(f"This database is of an older release, without an archive: {MIGRATE}.")
        if tables:
            done += [
                export_copy(connection, table, to, since=since, until=until, progress=progress) for table in tables
            ]
        else:
            try:
                for one in export_weeks(connection, to, progress=progress):
                    done.append(one)
            except UserError as error:
                problem = error
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in done]))
    else:
        for one in done:
            typer.echo(
                f"{one.file}: {one.rows:,} rows, {one.bytes / 1e6:,.1f} MB{', dropped from the database' * one.dropped}"
            )
    if problem:
        raise problem
    if not done and not as_json:
        typer.echo("No week waits for its export: the log holds only what is within ml_settings.retention_predictions.")
