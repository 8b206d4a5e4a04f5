"""What panels show: predictions with outcomes, and what runs of jobs have stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg
from prediction_log import log, random_predictions

LIVE = ("insert", "update")
DAY = timedelta(days=1)


def now() -> datetime:
    """Return the time by the real clock, which views of panels read."""
    return datetime.now(UTC)


def frame(predictions: list[dict[str, Any]], width: str = "min") -> pd.DataFrame:
    """Return the log as a data frame with the columns that the views group by."""
    data = pd.DataFrame(predictions)
    data["time"] = pd.to_datetime(data["predicted_at"], utc=True).dt.floor(width)
    data["model_version"] = data["model_version"].fillna("none")
    data["live"] = data["source"].isin(LIVE) & (data["role"] != "shadow")
    data["attempted"] = data["role"] != "rule"
    data["timed"] = data["attempted"] & data["latency_us"].notna()
    data["cold"] &= data["timed"]
    return data


def add_outcomes(db: psycopg.Connection[Any], count: int = 400, seed: int = 3) -> pd.DataFrame:
    """Put events with outcomes and their predictions of the last ten days into the database."""
    generator = np.random.default_rng(seed)
    predictions, events = random_predictions(count, now() - 10 * DAY, 10 * DAY, seed), []
    for row in predictions:
        outcome = generator.choice(["win", "loss", "timeout", "odd", ""], p=[0.3, 0.3, 0.1, 0.05, 0.25])
        events.append({
            "id": row["event_id"], "symbol": f"S{generator.integers(3)}",
            "pattern_type": str(generator.choice(["hammer", "doji"])), "outcome_label": str(outcome) or None,
        })  # fmt: skip
    gone = {event["id"] for event in events[:20]}
    again = [
        {**row, "predicted_at": row["predicted_at"] + timedelta(seconds=1), "ml_confidence": 0.99, "source": "update"}
        for row in predictions[30:80]
    ]
    log(db, predictions + again)
    with db.transaction():
        db.execute("ALTER TABLE pattern_events DISABLE TRIGGER USER")
        for event in events[20:]:
            db.execute(
                "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence,"
                " outcome_label) VALUES (%(id)s, %(symbol)s, '1d', %(pattern_type)s, now(), 0.5, %(outcome_label)s)",
                event,
            )
        db.execute("ALTER TABLE pattern_events ENABLE TRIGGER USER")
    data = frame(predictions + again, "D")
    data = data[~data.event_id.isin(gone)]
    return data.merge(pd.DataFrame(events).rename(columns={"id": "event_id"}), on="event_id")


def add_drift(
    db: psycopg.Connection[Any], at: datetime, features: list[tuple[str, float | None, str]], version: str = "v1"
) -> None:
    """Store a run of drift: features with distance and verdict."""
    (baseline,) = db.execute(
        "INSERT INTO ml_baselines (created_by, model_version, window_from, window_to, predictions, sources)"
        " VALUES ('test', %s, %s, %s, 1, '{insert}') RETURNING baseline_id",
        (version, at - 9 * DAY, at),
    ).fetchone() or (None,)
    for feature, distance, verdict in features:
        db.execute(
            "INSERT INTO ml_drift (run_at, model_version, baseline_id, window_from, window_to, subject, feature, method,"
            " value, n_baseline, n_current, missing_rate, verdict, quality_verdict)"
            " VALUES (%s, %s, %s, %s, %s, 'feature', %s, 'jensen_shannon', %s, 500, 400, 0.1, %s, 'ok')",
            (at, version, baseline, at - DAY, at, feature, distance, verdict),
        )


def add_performance(
    db: psycopg.Connection[Any],
    at: datetime,
    figures: list[tuple[str, float, float | None, float | None, str]],
    version: str = "v1",
) -> None:
    """Store a run of performance: kind, ROC-AUC with its interval, and pattern type."""
    for kind, found, low, high, pattern in figures:
        db.execute(
            "INSERT INTO ml_performance (run_at, model_version, pattern_type, kind, metric, window_from, window_to,"
            " predictions, labelled, value, low, high, baseline, lower_limit, verdict)"
            " VALUES (%s, %s, %s, %s, 'roc_auc', %s, %s, 900, 300, %s, %s, %s, 0.61, 0.58, 'ok')",
            (at, version, pattern, kind, at - 30 * DAY, at, found, low, high),
        )


def add_transitions(db: psycopg.Connection[Any], start: datetime, steps: list[tuple[str, str, str, int]]) -> None:
    """Store changes of alerts: rule, state before, state after, minutes since the start."""
    for rule, before, after, minutes in steps:
        db.execute(
            "INSERT INTO ml_alert_transitions (occurred_at, rule, key, severity, from_state, to_state, cause, value)"
            " VALUES (%s, %s, '', 'warning', %s, %s, 'breached', 1)",
            (start + timedelta(minutes=minutes), rule, before, after),
        )
