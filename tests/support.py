"""What several test folders need: bars, events and small models in a database."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

START = datetime(2024, 1, 1, tzinfo=UTC)
PROBABILITY = 0.85
RULE = 0.72


def add_bars(
    db: psycopg.Connection[Any], symbol: str = "TEST", count: int = 300, *, seed: int = 1, timeframe: str = "1d"
) -> list[datetime]:
    """Insert a random walk of daily bars and return their times."""
    generator = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, count)))
    opens = np.concatenate([[100.0], closes[:-1]])
    highs = np.maximum(opens, closes) * (1 + generator.uniform(0, 0.01, count))
    lows = np.minimum(opens, closes) * (1 - generator.uniform(0, 0.01, count))
    volumes = generator.uniform(1e5, 1e6, count)
    times = [START + timedelta(days=day) for day in range(count)]
    rows = zip(times, opens, highs, lows, closes, volumes, strict=True)
    with (
        db.cursor() as cursor,
        cursor.copy("COPY price_bars (symbol, timeframe, ts, open, high, low, close, volume) FROM STDIN") as copy,
    ):
        for time, *values in rows:
            copy.write_row((symbol, timeframe, time, *(float(value) for value in values)))
    return times


def insert_event(db: psycopg.Connection[Any], returning: str = "*", **columns: Any) -> dict[str, Any]:
    """Insert one event, five required columns by default, and return the stored row, or some columns of it."""
    values = {
        "symbol": "TEST",
        "timeframe": "1d",
        "pattern_type": "bullish_engulfing",
        "detected_at": START + timedelta(days=290),
        "rule_confidence": RULE,
        **columns,
    }
    query = sql.SQL("INSERT INTO pattern_events ({}) VALUES ({}) RETURNING {}").format(
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
        sql.SQL(returning),
    )
    cursor = db.execute(query, list(values.values()))
    assert cursor.description is not None
    row = cursor.fetchone()
    assert row is not None
    return dict(zip([column.name for column in cursor.description], row, strict=True))


def event(db: psycopg.Connection[Any], event_id: Any) -> dict[str, Any]:
    """Return one event as stored now."""
    return one(db, "SELECT * FROM pattern_events WHERE id = %s", event_id)


def predictions(db: psycopg.Connection[Any], event_id: Any = None) -> list[dict[str, Any]]:
    """Return the log, or its rows of one event, oldest first."""
    return rows(
        db,
        "SELECT * FROM ml_predictions WHERE %s::uuid IS NULL OR event_id = %s ORDER BY predicted_at",
        event_id,
        event_id,
    )


def rows(db: psycopg.Connection[Any], query: str, *parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a query by column name."""
    cursor = db.execute(query, parameters or None)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def one(db: psycopg.Connection[Any], query: str, *parameters: Any) -> dict[str, Any]:
    """Return the only row of a query by column name."""
    (row,) = rows(db, query, *parameters)
    return row


def value(db: psycopg.Connection[Any], query: str, *parameters: Any) -> Any:
    """Return the only value of a query."""
    (single,) = one(db, query, *parameters).values()
    return single


def install_model(
    db: psycopg.Connection[Any],
    version: str = "toy",
    *,
    body: str | None = None,
    probability: float = PROBABILITY,
    features: tuple[str, ...] = ("rsi_14", "day_of_week"),
    classes: tuple[str, ...] = ("rest", "win"),
    golden_probability: float | None = None,
    card: dict[str, Any] | None = None,
) -> None:
    """Register a model whose score is constant, or given by an SQL expression of ``p_features``."""
    expression = body or f"ARRAY[{1 - probability!r}, {probability!r}]::float8[]"
    names = [sql.Identifier(name) for name in features]
    db.execute(
        sql.SQL(
            "CREATE FUNCTION {}(p_features ml.feature_vector) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE AS {}"
        ).format(
            sql.Identifier("ml_generated", f"features_{version}"),
            sql.Literal(
                "BEGIN RETURN ARRAY[" + ", ".join(f"p_features.{name.as_string(None)}" for name in names) + "]; END"
            ),
        )
    )
    db.execute(
        sql.SQL("CREATE FUNCTION {}(p_features float8[]) RETURNS float8[] LANGUAGE plpgsql IMMUTABLE AS {}").format(
            sql.Identifier("ml_generated", f"score_{version}"), sql.Literal(f"BEGIN RETURN {expression}; END")
        )
    )
    golden = probability if golden_probability is None else golden_probability
    # Figures that pass every blocking gate of a promotion.
    full_card = {
        "feature_names_sha256": hashlib.sha256("\n".join(features).encode()).hexdigest(),
        "label": {"name": "TB2"},
        "training": {"class_counts": {"win": 900, "loss": 1000, "timeout": 1100}},
        "metrics": {
            "walk_forward": {
                "auc": {"calibrated": {"value": 0.58, "low": 0.545, "high": 0.61}},
                "ece": {"value": 0.02, "low": 0.01, "high": 0.04},
            },
        },
        "golden_rows": [
            {"features": dict.fromkeys(features, 1.0), "probabilities": [1 - golden, golden]},
        ],
        "recommended_threshold": 0.4,
        **(card or {}),
    }
    db.execute(
        "INSERT INTO ml_models (version, algorithm, classes, feature_names, artefact_sha256, card, metrics, data_window)"
        " VALUES (%s, 'constant', %s, %s, %s, %s, '{}', '[2020-01-01, 2021-01-01]')",
        (version, list(classes), list(features), "0" * 64, Jsonb(full_card, dumps=json.dumps)),
    )


def add_calibrator(db: psycopg.Connection[Any], calibrator: str, version: str, **metrics: Any) -> None:
    """Register a calibrator that changes nothing, with the figures that its card states."""
    db.execute(
        "INSERT INTO ml_calibrators (calibrator_version, model_version, method, card) VALUES (%s, %s, 'identity', %s)",
        (calibrator, version, Jsonb({"metrics": metrics} if metrics else {})),
    )


def champion(db: psycopg.Connection[Any]) -> str | None:
    """Return the live version."""
    found = rows(db, "SELECT version FROM ml_aliases WHERE alias = 'champion'")
    return found[0]["version"] if found else None


def go_live(db: psycopg.Connection[Any], version: str = "toy", **options: Any) -> None:
    """Register a small model, make it champion and enable ML."""
    install_model(db, version, **options)
    db.execute("SELECT ml.promote(%s, %s, 'test')", (version, champion(db)))
    db.execute("SELECT ml.enable('test')")
