"""Logs of predictions with outcomes, written as their owner."""

from typing import Any

import psycopg

# Event number n of a version: its true probability p of a win, which the model knows (plus error), the rule hardly does.
EVENTS = """
    CREATE TEMPORARY TABLE drawn_events ON COMMIT DROP AS
    SELECT
        gen_random_uuid() AS id,
        %(first)s::timestamptz + (n - 1) * %(days)s * interval '1 day' / %(events)s AS at,
        %(pattern_types)s::text[] AS types,
        n,
        p,
        least(greatest(p + %(error)s * (random() - 0.5), 0.001), 0.999) AS ml,
        random() AS rule,
        random() < least(greatest(p + %(shift)s, 0), 1) AS win,
        random() * %(hours)s AS hours
    FROM (SELECT n, 0.1 + 0.8 * random() AS p FROM generate_series(1, %(events)s) AS n) AS numbers;

    INSERT INTO pattern_events (
        id, symbol, timeframe, pattern_type, detected_at, rule_confidence, outcome_label, outcome_at, label_source
    )
    SELECT
        id, 'TEST', '1h', types[1 + n %% cardinality(types)], at, rule, CASE WHEN win THEN 'win' WHEN n %% 2 = 0 THEN 'loss'
        ELSE 'timeout' END, at + hours * interval '1 hour', 'TB2'
    FROM drawn_events;

    INSERT INTO ml_predictions (
        event_id, predicted_at, source, model_version, role, arm, ml_confidence_raw, ml_confidence, rule_confidence,
        blended_confidence
    )
    SELECT id, at, 'insert', %(version)s, %(role)s, 'ml', ml, ml, rule, 0.6 * ml + 0.4 * rule FROM drawn_events
"""


def log_performance(
    db: psycopg.Connection[Any],
    version: str,
    first: str,
    *,
    days: float = 30,
    events: int = 1000,
    error: float = 0.0,
    shift: float = 0.0,
    hours: float = 48,
    role: str = "champion",
    pattern_types: tuple[str, ...] = ("hammer",),
    seed: float = 0.5,
) -> None:
    """Log predictions of a registered version, evenly over some days, with outcomes up to ``hours`` after the detection.

    ``error`` makes its probabilities worse than the true ones, ``shift`` is added to these: the world has changed.
    """
    with db.transaction(), psycopg.ClientCursor(db) as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'")
        cursor.execute(
            "SELECT ml.create_prediction_partitions(at) FROM generate_series(%s::timestamptz - interval '7 days',"
            " %s::timestamptz + %s * interval '1 day' + interval '7 days', '7 days') AS at",
            (first, first, days),
        )
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SELECT setseed(%s)", (seed,))
        sizes = {
            "version": version,
            "first": first,
            "days": days,
            "events": events,
            "error": error,
            "shift": shift,
            "hours": hours,
            "role": role,
            "pattern_types": list(pattern_types),
        }
        cursor.execute(EVENTS.encode(), sizes)
        cursor.execute("ANALYZE pattern_events, ml_predictions")


def add_baseline(db: psycopg.Connection[Any], version: str, window_from: str, window_to: str) -> int:
    """Add a baseline without its features, and return its number."""
    found = db.execute(
        "INSERT INTO ml_baselines (model_version, window_from, window_to, predictions, sources)"
        " VALUES (%s, %s, %s, 1000, '{insert,update}') RETURNING baseline_id",
        (version, window_from, window_to),
    ).fetchone()
    assert found is not None
    return int(found[0])
