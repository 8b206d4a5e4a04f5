"""Predictions of any time in the log, and an independent count of them."""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import psycopg

COLUMNS = (
    "event_id", "predicted_at", "source", "role", "model_version", "ml_confidence", "rule_confidence",
    "blended_confidence", "latency_us", "cold", "cache_hit", "fallback_reason", "error_sqlstate",
)  # fmt: skip


def prediction(at: datetime, **columns: Any) -> dict[str, Any]:
    """Return one good prediction, changed by what is given."""
    return {
        "event_id": uuid.uuid4(), "predicted_at": at, "source": "insert", "role": "champion", "model_version": "toy",
        "ml_confidence": 0.6, "rule_confidence": 0.7, "blended_confidence": 0.65, "latency_us": 800, "cold": False,
        "cache_hit": False, "fallback_reason": None, "error_sqlstate": None, **columns,
    }  # fmt: skip


def random_predictions(count: int, start: datetime, length: timedelta, seed: int = 1) -> list[dict[str, Any]]:
    """Return predictions of every kind, with all that a log may hold: no version, no latency, NaN, infinity."""
    generator = np.random.default_rng(seed)
    odd = [None, float("nan"), float("inf"), -0.1, 1.5, 0.0, 1.0, 0.05, 0.15, 0.35, 0.55, 0.95]

    def confidence() -> float | None:
        return odd[generator.integers(len(odd))] if generator.random() < 0.3 else float(generator.random())

    found = []
    for _ in range(count):
        role = str(generator.choice(["champion", "challenger", "shadow", "rule"], p=[0.6, 0.1, 0.1, 0.2]))
        source = str(generator.choice(["insert", "update", "backfill", "external"], p=[0.6, 0.2, 0.1, 0.1]))
        failed = generator.random() < 0.1
        reason = "disabled" if role == "rule" else "score_error" if failed else None
        found.append(
            prediction(
                start + length * float(generator.random()),
                source=source, role=role,
                model_version=None if role == "rule" else str(generator.choice(["v1", "v2"])),
                ml_confidence=confidence(), rule_confidence=confidence(), blended_confidence=confidence(),
                latency_us=None if generator.random() < 0.1 else int(np.exp(generator.normal(7, 2))),
                cold=bool(generator.random() < 0.1),
                cache_hit=source == "update" and bool(generator.random() < 0.5),
                fallback_reason=reason, error_sqlstate="22012" if failed else None,
            )
        )  # fmt: skip
    return found


def register(db: psycopg.Connection[Any], *versions: str) -> None:
    """Put versions into the registry that are not there; none of them can score."""
    db.execute(
        "INSERT INTO ml_models (version, algorithm, classes, feature_names, artefact_sha256, card, metrics, data_window)"
        " SELECT version, 'constant', '{win,loss}', '{rule_confidence}', repeat('0', 64), '{}', '{}', '[2020-01-01,2021-01-01]'"
        " FROM unnest(%s::text[]) AS version ON CONFLICT DO NOTHING",
        (list(versions),),
    )


def log(db: psycopg.Connection[Any], predictions: list[dict[str, Any]], *, registered: bool = True) -> None:
    """Put predictions into the log, with the weeks that they need and that are not there; their versions are registered."""
    if registered:
        register(db, *{p["model_version"] for p in predictions if p["model_version"] is not None})
    weeks = {p["predicted_at"].astimezone(UTC).strftime("ml_predictions_%Gw%V"): p["predicted_at"] for p in predictions}
    there = {name for (name,) in db.execute("SELECT relname FROM pg_class WHERE relname = ANY(%s)", (list(weeks),))}
    for week in sorted(weeks.keys() - there):
        db.execute("SELECT ml.create_prediction_partitions(%s, 0)", (weeks[week],))
    with db.cursor() as cursor, cursor.copy(f"COPY ml_predictions ({', '.join(COLUMNS)}) FROM STDIN") as copy:
        for row in predictions:
            copy.write_row([row[column] for column in COLUMNS])


@cache
def latency_bucket(latency: int) -> int:
    """Return the bucket by multiplying the bound up, in whole numbers."""
    bucket = 1
    while bucket < 74 and latency * 4**bucket >= 5**bucket:
        bucket += 1
    return bucket


def is_confidence(value: float | None) -> bool:
    """Say whether a value is a number of 0 to 1."""
    return value is not None and 0 <= value <= 1


def summary(
    predictions: list[dict[str, Any]], width: timedelta, target_us: float = 75_000
) -> dict[tuple[Any, ...], Any]:
    """Return what a roll-up must say, by (bucket, source, role, version)."""
    origin = datetime(2000, 1, 1, tzinfo=UTC)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in predictions:
        bucket = origin + ((row["predicted_at"] - origin) // width) * width
        groups.setdefault((bucket, row["source"], row["role"], row["model_version"] or ""), []).append(row)
    return {key: _counts(rows, target_us) for key, rows in groups.items()}


def _counts(rows: list[dict[str, Any]], target_us: float) -> dict[str, Any]:
    attempted = [row for row in rows if row["role"] != "rule"]
    rescored = [row for row in attempted if row["source"] == "update"]
    timed = [row for row in attempted if row["latency_us"] is not None]
    counts: dict[str, Any] = {
        "predictions": len(rows),
        "attempted": len(attempted),
        "used": sum(row["fallback_reason"] is None for row in attempted),
        "fallbacks": sum(row["fallback_reason"] is not None for row in attempted),
        "errors": sum(row["error_sqlstate"] is not None for row in rows),
        "rescorings": len(rescored),
        "cache_hits": sum(row["cache_hit"] for row in rescored),
        "timed": len(timed),
        "within_target": sum(row["latency_us"] <= target_us for row in timed),
        "latency_sum_us": sum(row["latency_us"] for row in timed),
        "cold_calls": sum(row["cold"] for row in timed),
        "latency_histogram": histogram(row["latency_us"] for row in timed if not row["cold"]),
        "cold_latency_histogram": histogram(row["latency_us"] for row in timed if row["cold"]),
        "reasons": dict(Counter(row["fallback_reason"] for row in rows if row["fallback_reason"])),
    }
    for kind in ("ml", "rule", "blended"):
        values = [row[f"{kind}_confidence"] for row in rows if is_confidence(row[f"{kind}_confidence"])]
        counts[f"{kind}_confidence_count"] = len(values)
        counts[f"{kind}_confidence_sum"] = sum(values)
        edges = [i / 20 for i in range(21)]
        counts[f"{kind}_confidence_histogram"] = np.histogram(values, edges)[0].tolist()
    return counts


def histogram(latencies: Any) -> list[int]:
    """Return counts by latency bucket without zeros at the end."""
    counts = Counter(latency_bucket(latency) for latency in latencies)
    return [counts[bucket] for bucket in range(1, max(counts, default=0) + 1)]
