"""Every feature of real events equals the oracle's, with levels derived and given, in both directions."""

from typing import Any

import numpy as np
import oracle
import pandas as pd
import psycopg
from feature_data import BARS, ask, feature_names

# One type of each length; the direction is given, so that each length meets both.
TYPES = {1: "hammer", 2: "bullish_engulfing", 3: "evening_star", 4: "bullish_three_line_strike", 5: "mat_hold"}
REVERSAL = {1: 1.0, 2: 1.0, 3: 1.0, 4: 0.0, 5: 0.0}
LEVELS = ["entry_price", "target_price", "stop_price", "support", "resistance"]


def _events(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return events at every bar in both directions; every other one with levels, every third with start_at."""
    generator = np.random.default_rng(seed)
    count = len(bars)
    at = np.tile(np.arange(count), 2)
    events = pd.DataFrame({"at": at, "sign": np.repeat([1.0, -1.0], count)})
    events["type_bars"] = generator.integers(1, 6, 2 * count)
    events["reversal"] = events["type_bars"].map(REVERSAL)
    events["start"] = np.where(
        generator.random(2 * count) < 1 / 3, np.maximum(at - generator.integers(0, 300, 2 * count), 0), -1
    )
    close = bars["close"].to_numpy()[at]
    for name in LEVELS:
        given = generator.random(2 * count) < 1 / 2
        events[name] = np.where(given, close * generator.uniform(0.8, 1.2, 2 * count), np.nan)
    events["symbol"], events["timeframe"] = bars["symbol"].iloc[0], bars["timeframe"].iloc[0]
    events["pattern_type"] = events["type_bars"].map(TYPES)
    events["direction"] = np.where(events["sign"] > 0, "bullish", "bearish")
    stamps = bars["ts"].to_numpy()
    events["detected_at"] = pd.to_datetime(stamps[at], utc=True)
    start = pd.Series(pd.to_datetime(stamps[np.maximum(events["start"], 0)], utc=True))
    events["start_at"] = start.where(events["start"] >= 0)
    return events


def test_features_equal_the_oracle(shipped: psycopg.Connection[Any], pytestconfig: Any) -> None:
    names = feature_names(shipped)
    worst = pd.DataFrame({"compared": 0, "absolute": 0.0, "relative": 0.0}, index=names)
    for seed, path in enumerate(sorted(BARS.glob("*.csv.gz"))):
        bars = pd.read_csv(path, parse_dates=["ts"])
        events = _events(bars, seed)
        expected = oracle.features(oracle.indicators(bars), events["at"].to_numpy(), events)
        assert sorted(expected) == sorted(names)
        actual, about = ask(shipped, events)
        assert about["reason"].isna().all()
        expected = expected[names].to_numpy(float)
        missing = pd.Series((np.isnan(actual) != np.isnan(expected)).sum(axis=0), index=names)
        assert missing.sum() == 0, f"{path.name}: {missing[missing > 0]}"
        difference = np.nan_to_num(np.abs(actual - expected))
        scale = np.nanmax(np.abs(expected), axis=0, initial=0.0)
        worst["compared"] += (~np.isnan(expected)).sum(axis=0)
        worst["absolute"] = np.maximum(worst["absolute"], difference.max(axis=0))
        worst["relative"] = np.maximum(worst["relative"], difference.max(axis=0) / np.where(scale > 0, scale, 1.0))
    pytestconfig.feature_differences = worst  # shown by pytest_terminal_summary
    assert (worst["compared"] > 10_000).all()
    assert worst["relative"].max() < 1e-9
