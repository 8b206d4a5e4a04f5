"""The catalogue, the composite type and what is computed say the same."""

from typing import Any

import numpy as np
import pandas as pd
import psycopg
from feature_data import BARS, ask, feature_names

CATEGORIES = {
    "pattern geometry",
    "trend and price action",
    "momentum",
    "volatility and volume",
    "context",
}


def _catalogue(db: psycopg.Connection[Any]) -> pd.DataFrame:
    columns = ["position", "name", "category", "unit", "definition", "valid_min", "valid_max", "bars_needed"]
    rows = db.execute(f"SELECT {', '.join(columns)} FROM ml_features ORDER BY position").fetchall()
    return pd.DataFrame(rows, columns=columns)


def test_catalogue_lists_the_attributes_of_the_vector(shipped: psycopg.Connection[Any]) -> None:
    attributes = shipped.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = 'ml.feature_vector'::regclass AND NOT attisdropped
        ORDER BY attnum
        """
    ).fetchall()
    catalogue = _catalogue(shipped)
    assert [name for name, _ in attributes] == list(catalogue["name"])
    assert {kind for _, kind in attributes} == {"double precision"}
    assert list(catalogue["position"]) == list(range(1, len(catalogue) + 1))


def test_enough_features_in_every_category(shipped: psycopg.Connection[Any]) -> None:
    catalogue = _catalogue(shipped)
    assert len(catalogue) >= 52
    counts = catalogue["category"].value_counts()
    assert set(counts.index) == CATEGORIES
    assert counts.min() >= 8
    assert catalogue["definition"].str.len().min() > 20
    assert {"support_distance_pct", "hour_of_day", "day_of_week", "atr_14_to_atr_100_log"} <= set(catalogue["name"])
    assert not catalogue["name"].str.contains("confidence").any()


def test_array_and_json_follow_the_catalogue(shipped: psycopg.Connection[Any]) -> None:
    array, json = shipped.execute(
        """
        SELECT ml.feature_array(r.features), to_jsonb(r.features)
        FROM ml.compute_event_features(
            ROW('IBM', '1d', 'hammer', NULL, '2010-06-01', NULL, NULL, NULL, NULL, NULL, NULL)::ml.event_inputs
        ) AS r
        """
    ).fetchone()
    assert [json[name] for name in feature_names(shipped)] == array
    assert json["support_distance_pct"] > 0


def test_features_begin_exactly_when_the_catalogue_says(shipped: psycopg.Connection[Any]) -> None:
    bars = pd.read_csv(BARS / "AAPL_1d.csv.gz", parse_dates=["ts"]).iloc[:300]
    for pattern, direction in (("hammer", "bullish"), ("shooting_star", "bearish")):
        events = pd.DataFrame({"detected_at": bars["ts"].dt.tz_localize("UTC")}).assign(
            symbol="AAPL", timeframe="1d", pattern_type=pattern, direction=direction
        )
        features, _ = ask(shipped, events)
        present = ~np.isnan(features)
        first = pd.Series(present.argmax(axis=0) + 1, index=feature_names(shipped))
        expected = _catalogue(shipped).set_index("name")["bars_needed"]
        assert (first == expected).all(), pd.DataFrame({"first": first, "catalogue": expected})[first != expected]
        from_then_on = np.arange(1, len(bars) + 1)[:, None] >= expected.to_numpy()
        assert (present == from_then_on).all()


def test_values_lie_in_the_valid_range(shipped: psycopg.Connection[Any]) -> None:
    catalogue = _catalogue(shipped)
    low = catalogue["valid_min"].fillna(-np.inf).to_numpy(float)
    high = catalogue["valid_max"].fillna(np.inf).to_numpy(float)
    features, _ = ask(shipped, _one_event_per_bar(shipped))
    assert not np.isinf(features).any()
    outside = ((features < low) | (features > high)).sum(axis=0)
    assert outside.sum() == 0, catalogue["name"][outside > 0].tolist()


def test_no_two_features_rank_events_alike(shipped: psycopg.Connection[Any]) -> None:
    features, _ = ask(shipped, _one_event_per_bar(shipped))
    table = pd.DataFrame(features, columns=feature_names(shipped))
    constant = table.columns[table.nunique() < 2]
    assert list(constant) == ["hour_of_day"]  # it varies on intraday bars alone
    ranks = table.drop(columns=constant).corr("spearman").abs()
    pairs = ranks.where(np.triu(np.ones(ranks.shape, dtype=bool), 1)).stack()
    assert pairs.max() <= 0.99, pairs.nlargest(5)


def _one_event_per_bar(db: psycopg.Connection[Any]) -> pd.DataFrame:
    """Return an event at every shipped bar, its type drawn from the candlestick patterns with a direction."""
    bars = db.execute("SELECT symbol, timeframe, ts FROM price_bars ORDER BY symbol, timeframe, ts").fetchall()
    types = db.execute(
        """
        SELECT pattern_type FROM ml.pattern_types
        WHERE talib_function IS NOT NULL AND direction IS NOT NULL ORDER BY pattern_type
        """
    ).fetchall()
    drawn = np.random.default_rng(7).integers(0, len(types), len(bars))
    events = pd.DataFrame(bars, columns=["symbol", "timeframe", "detected_at"])
    return events.assign(pattern_type=[types[k][0] for k in drawn])
