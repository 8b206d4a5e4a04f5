"""Logged predictions with outcomes, as a live system leaves them after some years."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from support import go_live

FIRST = datetime(2021, 2, 1, tzinfo=UTC)  # after the training window of the small models
DAY = timedelta(days=1)


def sample(seed: int, count: int = 1500, slope: float = 8.0, offset: float = -4.0, **columns: Any) -> dict[str, Any]:
    """Draw raw scores whose wins have the probability 1 / (1 + exp(-(slope * raw + offset))), over 40 months."""
    random = np.random.default_rng(seed)
    raw = random.beta(6, 6, count)
    minutes = np.sort(random.integers(0, 1200 * 24 * 60, count))
    return {
        "raw": raw,
        "is_win": random.random(count) < 1 / (1 + np.exp(-(slope * raw + offset))),
        "rule": random.uniform(0.4, 0.9, count),
        "detected_at": [FIRST + timedelta(minutes=int(minute)) for minute in minutes],
        "hours": random.integers(24, 240, count),
        "symbol": "TEST",
        "timeframe": "1d",
        **columns,
    }


def log_outcomes(db: psycopg.Connection[Any], data: dict[str, Any], version: str = "toy", **logged: Any) -> list[Any]:
    """Store events with outcomes and what was logged when they were scored; return the ids."""
    count = len(data["raw"])
    ids = [uuid.uuid5(uuid.NAMESPACE_OID, f"{data['symbol']} {data['timeframe']} {i}") for i in range(count)]
    with db.transaction(), db.cursor() as cursor:
        # As a restore does: what is stored was scored at its time.
        cursor.execute("SET LOCAL session_replication_role = replica")
        with cursor.copy(
            "COPY pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence,"
            " outcome_label, outcome_at, label_source) FROM STDIN"
        ) as copy:
            for i, event_id in enumerate(ids):
                outcome = "win" if data["is_win"][i] else ("loss", "timeout")[i % 2]
                known = data["detected_at"][i] + timedelta(hours=int(data["hours"][i]))
                row = (data["symbol"], data["timeframe"], "hammer", data["detected_at"][i], float(data["rule"][i]))
                copy.write_row((event_id, *row, outcome, known, "TB2"))
        log_predictions(cursor, ids, data["raw"], data["rule"], version, **logged)
    return ids


def log_predictions(cursor, ids, raw, rule, version, *, role="champion", source="insert", age="0 s"):
    """Log a scoring of each event, now or some time ago."""
    cursor.executemany(
        "INSERT INTO ml_predictions (event_id, predicted_at, source, model_version, role, arm, ml_confidence_raw,"
        " ml_confidence, rule_confidence) VALUES (%s, now() - %s::interval, %s, %s, %s, 'ml', %s, %s, %s)",
        [
            (event_id, age, source, version, role, float(score), float(score), float(confidence))
            for event_id, score, confidence in zip(ids, raw, rule, strict=True)
        ],
    )


def with_history(db: psycopg.Connection[Any], seed: int = 1, **options: Any) -> dict[str, Any]:
    """Make a small model the champion and give it a past."""
    go_live(db)
    data = sample(seed, **options)
    log_outcomes(db, data)
    return data
