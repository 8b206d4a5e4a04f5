"""Bars that break indicators: they are stored, their features are missing, and nothing is NaN or infinite."""

import math
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from feature_data import ask, feature_names
from test_bar_indicators import assert_as_rebuilt, insert, random_bars


def features_of(db: psycopg.Connection[Any], symbol: str = "A") -> pd.DataFrame:
    """Return the features of a bullish and of a bearish event at every bar, which must be finite or missing."""
    bars = db.execute("SELECT symbol, timeframe, ts FROM price_bars WHERE symbol = %s ORDER BY ts", [symbol]).fetchall()
    events = pd.DataFrame(bars, columns=["symbol", "timeframe", "detected_at"])
    events = pd.concat([events.assign(pattern_type=name) for name in ("mat_hold", "two_crows")], ignore_index=True)
    values, about = ask(db, events)
    assert about["reason"].isna().all()
    assert not np.isinf(values).any()
    stored = db.execute("SELECT to_jsonb(i) FROM ml.bar_indicators AS i WHERE symbol = %s", [symbol]).fetchall()
    for (row,) in stored:
        assert not {"NaN", "Infinity", "-Infinity"} & set(map(str, row.values()))
    return pd.DataFrame(values, columns=feature_names(db))


def test_short_history(shipped: psycopg.Connection[Any]) -> None:
    """FB has 196 bars: what needs 200 or more is missing and everything else is there at the end."""
    features = features_of(shipped, "FB").iloc[195]
    needed = dict(shipped.execute("SELECT name, bars_needed FROM ml_features").fetchall())
    assert {name for name, value in features.items() if math.isnan(value)} == {
        name for name, bars in needed.items() if bars > 196
    }


def test_no_volume(db: psycopg.Connection[Any]) -> None:
    insert(db, [(*bar[:6], 0.0) for bar in random_bars(270, 1)])
    missing = features_of(db).isna().iloc[-1]
    assert set(missing.index[missing]) == {
        *("volume_to_mean_20_log", "volume_mean_20_to_100_log", "volume_percentile_100"),
        *("up_volume_balance_20", "money_flow_20", "mfi_14"),
    }


def test_flat_bars(db: psycopg.Connection[Any]) -> None:
    days = [bar[1] for bar in random_bars(300, 1)]
    insert(db, [("A", day, 0.1, 0.1, 0.1, 0.1, 5.0) for day in days])
    features = features_of(db).iloc[299]
    assert features[["range_atr", "rsi_14", "cci_14", "bollinger_z_20", "stochastic_k_14"]].isna().all()
    assert features[["atr_14_pct", "atr_14_to_atr_100_log", "close_in_pattern", "body_to_range"]].isna().all()
    assert features["support_distance_pct"] == 0
    assert features["bollinger_width_20_pct"] == 0
    assert_as_rebuilt(db)


def test_averages_that_only_decay_do_not_underflow(db: psycopg.Connection[Any]) -> None:
    """Some 10,000 flat bars bring every average to zero, and prices that move again bring all features back."""
    insert(db, random_bars(200, 2))
    db.execute(
        """
        INSERT INTO price_bars
        SELECT 'A', '1d', '2021-01-01 00:00+00'::timestamptz + k * interval '1 day', 7, 7, 7, 7, 1
        FROM generate_series(1, 11000) AS k
        """
    )
    db.execute(
        """
        INSERT INTO price_bars
        SELECT 'A', '1d', '2061-01-01 00:00+00'::timestamptz + k * interval '1 day',
            7, 7 + k % 5, 6, 6.5 + (k % 4) / 8.0, k
        FROM generate_series(1, 260) AS k
        """
    )
    assert db.execute("SELECT min(bar_number) FROM ml.bar_states").fetchone()[0] == 1
    smallest = db.execute("SELECT atr_14, macd_signal FROM ml.bar_states WHERE bar_number = 11200").fetchone()
    assert smallest[0] == 0
    assert abs(smallest[1]) < 1e-12
    last = db.execute(
        """
        SELECT ml.feature_array(r.features) FROM price_bars AS b, LATERAL ml.compute_event_features(
            ROW('A', '1d', 'hammer', NULL, b.ts, NULL, NULL, NULL, NULL, NULL, NULL)::ml.event_inputs
        ) AS r ORDER BY b.ts DESC LIMIT 1
        """
    ).fetchone()[0]
    assert None not in last


@pytest.mark.parametrize("price", [5e-324, 1e-308, 1e-49, 1e-12, 1e12, 1e49, 1e150, 1.7e308])
@pytest.mark.parametrize("volume", [0.0, 5e-324, 1e-49, 1e49, 1.7e308])
def test_tiny_and_huge_values(db: psycopg.Connection[Any], price: float, volume: float) -> None:
    bars = random_bars(140, 3)
    extreme = [("A", bars[k][1], price, price, price, price, volume) for k in (0, 60, 61, 100)]
    for bar in extreme:
        bars[[other[1] for other in bars].index(bar[1])] = bar
    insert(db, bars)
    features_of(db)
    assert_as_rebuilt(db)


def test_prices_at_both_ends_of_what_can_be_computed(db: psycopg.Connection[Any]) -> None:
    bars = random_bars(300, 4)
    wild = [
        ("A", bar[1], *((1e-50, 1e50, 1e-50, 1e-50) if k % 2 else (1e50, 1e50, 1e-50, 1e50)), 1e50)
        for k, bar in enumerate(bars)
    ]
    insert(db, wild)
    assert db.execute("SELECT max(bar_number) FROM ml.bar_states").fetchone()[0] == 300
    features_of(db)


def test_a_series_begins_anew_after_an_unusable_bar(db: psycopg.Connection[Any]) -> None:
    bars = random_bars(200, 5)
    insert(db, bars)
    db.execute("UPDATE price_bars SET high = 1e200 WHERE ts = %s", [bars[99][1]])
    numbers = [row[0] for row in db.execute("SELECT bar_number FROM ml.bar_indicators ORDER BY ts").fetchall()]
    assert numbers == [*range(1, 100), 0, *range(1, 101)]
    features = features_of(db)
    present = {name for name in features if features[name].notna().iloc[99]}
    assert present == {"pattern_bars", "direction_sign", "pattern_reversal", "hour_of_day", "day_of_week"}
    db.execute("UPDATE price_bars SET high = 1000 WHERE ts = %s", [bars[99][1]])
    assert features_of(db).iloc[199].notna().sum() > 50
    assert_as_rebuilt(db)


@pytest.mark.parametrize("spot", ["v_n := v_previous.bar_number + 1", "100::float8 * a.atr_14 / t.close"])
def test_an_error_in_an_indicator_does_not_fail_the_insert(db: psycopg.Connection[Any], spot: str) -> None:
    """Whatever goes wrong in a computation: the bars are stored, a warning says so, features are missing."""
    bars = random_bars(160, 6)
    insert(db, bars[:120])
    definition = db.execute("SELECT pg_get_functiondef('ml.recompute_bar_indicators'::regproc)").fetchone()[0]
    assert definition.count(spot) == 1
    broken = "v_n := 1 / (v_previous.bar_number - v_previous.bar_number)" if ":=" in spot else "1 / (t.close - t.close)"
    notices: list[str] = []
    db.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
    db.execute(definition.replace(spot, broken))
    insert(db, bars[120:150])
    assert len(notices) == 1
    assert "22012" in notices[0]
    features = features_of(db)
    assert features.loc[119].notna().sum() > 50
    assert features.loc[120:149, "atr_14_pct"].isna().all()
    db.execute(definition)
    insert(db, bars[150:])
    assert db.execute("SELECT ml.refresh_bar_indicators('A')").fetchone()[0] == 160
    assert features_of(db).loc[159].notna().sum() > 50
    assert_as_rebuilt(db)
