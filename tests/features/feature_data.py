"""The shipped bars, and how to ask for the features of many events at once."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg

BARS = Path(__file__).parents[2] / "trainer" / "data"
EVENT_COLUMNS = {
    "symbol": "text",
    "timeframe": "text",
    "pattern_type": "text",
    "direction": "text",
    "detected_at": "timestamptz",
    "start_at": "timestamptz",
    "entry_price": "float8",
    "target_price": "float8",
    "stop_price": "float8",
    "support": "float8",
    "resistance": "float8",
}


def load_shipped_bars(connection: psycopg.Connection[Any]) -> None:
    """Copy every shipped bar into price_bars, one statement per series."""
    with connection.transaction():
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        for path in sorted(BARS.glob("*.csv.gz")):
            with connection.cursor().copy("COPY price_bars FROM STDIN (FORMAT csv, HEADER)") as copy:
                copy.write(gzip.decompress(path.read_bytes()))


def ask(connection: psycopg.Connection[Any], events: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the features of events (a row each, NaN where NULL), and inputs, bar and reason of each."""
    given = events.reindex(columns=list(EVENT_COLUMNS)).astype(object)
    given = given.where(events.reindex(columns=list(EVENT_COLUMNS)).notna(), None)
    columns = ", ".join(f"{name} {kind}" for name, kind in EVENT_COLUMNS.items())
    with connection.transaction():
        connection.execute(f"CREATE TEMPORARY TABLE asked (n integer, {columns}) ON COMMIT DROP")
        with connection.cursor().copy("COPY asked FROM STDIN") as copy:
            for n, row in enumerate(given.itertuples(index=False)):
                copy.write_row([n, *row])
        rows = connection.execute(
            f"""
            SELECT ml.feature_array(r.features), r.bar_ts, r.reason, (r.inputs).*
            FROM asked AS a,
                LATERAL ml.compute_event_features(
                    ROW({", ".join(f"a.{name}" for name in EVENT_COLUMNS)})::ml.event_inputs
                ) AS r
            ORDER BY a.n
            """
        ).fetchall()
    count = feature_count(connection)
    features = np.array([row[0] or [None] * count for row in rows], dtype=float).reshape(-1, count)
    about = pd.DataFrame([row[1:] for row in rows], columns=["bar_ts", "reason", *EVENT_COLUMNS])
    return features, about


def feature_names(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the names of all features in catalogue order."""
    return [row[0] for row in connection.execute("SELECT name FROM ml_features ORDER BY position").fetchall()]


def feature_count(connection: psycopg.Connection[Any]) -> int:
    """Return the number of features."""
    return connection.execute("SELECT count(*) FROM ml_features").fetchone()[0]
