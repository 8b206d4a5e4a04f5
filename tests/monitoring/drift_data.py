"""What tests of drift need: models with made-up features, and predictions of them in the log."""

import uuid
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

DAY = timedelta(days=1)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def register(
    db: psycopg.Connection[Any],
    version: str,
    names: Sequence[str],
    categories: Sequence[str] = (),
    *,
    live: bool = False,
) -> None:
    """Register a model of features that nothing computes; the catalogue learns those that are categories."""
    db.execute(
        "INSERT INTO ml_models (version, algorithm, classes, feature_names, artefact_sha256, card, metrics, data_window)"
        " VALUES (%s, 'none', '{rest,win}', %s, %s, '{}', '{}', '[2020-01-01, 2021-01-01]')",
        (version, list(names), "0" * 64),
    )
    if categories:
        db.execute(
            "INSERT INTO ml_features (position, name, category, unit, definition, bars_needed)"
            " SELECT position + i, name, 'context', 'flag', '', 1"
            " FROM (SELECT max(position) AS position FROM ml_features) AS f, unnest(%s::text[]) WITH ORDINALITY AS u (name, i)",
            (list(categories),),
        )
    if live:
        db.execute("DELETE FROM ml_aliases")
        db.execute("INSERT INTO ml_aliases (alias, version) VALUES ('champion', %s)", (version,))


def add_predictions(
    db: psycopg.Connection[Any],
    version: str,
    columns: Sequence[Any],
    start: datetime,
    *,
    length: int | None = None,
    span: timedelta = timedelta(hours=23),
    source: str = "insert",
    role: str = "champion",
    scores: Any = None,
    cache_hit: bool = False,
    seed: int = 0,
) -> None:
    """Log predictions, a column of values per feature and maybe one of scores; short columns end in missing values."""
    length = length or max(200, *map(len, columns))
    table = [[*np.asarray(column).tolist(), *[None] * (length - len(column))] for column in columns]
    marks = [None] * length if scores is None else np.asarray(scores).tolist()
    # Ids of their own for every call that differs in anything but its values.
    generator = np.random.default_rng([seed, zlib.crc32(f"{version} {start} {source} {role} {cache_hit}".encode())])
    with (
        db.cursor() as cursor,
        cursor.copy(
            "COPY ml_predictions (id, event_id, predicted_at, source, model_version, role, cache_hit, ml_confidence,"
            " blended_confidence, rule_confidence, features) FROM STDIN"
        ) as copy,
    ):
        for place, features in enumerate(zip(*table, strict=True)):
            ids = [uuid.UUID(bytes=generator.bytes(16), version=4) for _ in range(2)]
            time, mark = start + span * place / length, marks[place]
            copy.write_row((*ids, time, source, version, role, cache_hit, mark, mark, mark, list(features)))
