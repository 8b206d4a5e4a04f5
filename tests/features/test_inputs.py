"""Which bar an event names, what is filled in when it is not given, and what inputs cannot break."""

import itertools
import math
from typing import Any

import psycopg
import pytest

FIELDS = (
    *("symbol", "timeframe", "pattern_type", "direction", "detected_at", "start_at"),
    *("entry_price", "target_price", "stop_price", "support", "resistance"),
)
HAMMER = {"symbol": "IBM", "timeframe": "1d", "pattern_type": "hammer", "detected_at": "2010-06-01 00:00+00"}


def compute(db: psycopg.Connection[Any], **event: Any) -> dict[str, Any]:
    """Return inputs, features, bar and reason of one event as JSON."""
    values = [event.get(name) for name in FIELDS]
    kinds = ["text"] * 4 + ["timestamptz"] * 2 + ["float8"] * 5
    row = ", ".join(f"%s::{kind}" for kind in kinds)
    return db.execute(
        f"""
        SELECT to_jsonb(r) FROM ml.compute_event_features(ROW({row})::ml.event_inputs) AS r
        """,
        values,
    ).fetchone()[0]


def prices(db: psycopg.Connection[Any], condition: str) -> list[tuple[float, ...]]:
    return db.execute(
        f"SELECT high, low, close FROM price_bars WHERE symbol = 'IBM' AND {condition} ORDER BY ts DESC"
    ).fetchall()


@pytest.mark.parametrize(
    ("detected_at", "bar"),
    [
        ("2010-06-01 00:00+00", "2010-06-01"),  # the opening time of a bar names that bar
        ("2010-06-01 00:00:01+00", "2010-05-28"),  # that bar has not ended, and the day before was a holiday
        ("2010-06-01 23:59:59+00", "2010-05-28"),
        ("2010-06-02 00:00+00", "2010-06-02"),
        ("2010-06-06 12:00+00", "2010-06-04"),  # a Sunday
        ("2010-06-05 00:00+00", "2010-06-04"),  # the end of Friday's bar
    ],
)
def test_detected_at_names_the_bar(shipped: psycopg.Connection[Any], detected_at: str, bar: str) -> None:
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        shipped.execute("SELECT set_config('TimeZone', %s, false)", [zone])
        try:
            found = shipped.execute(
                """
                SELECT (r.bar_ts AT TIME ZONE 'UTC')::date::text FROM ml.compute_event_features(
                    ROW(
                        'IBM', '1d', 'hammer', NULL, %s::timestamptz, NULL, NULL, NULL, NULL, NULL, NULL
                    )::ml.event_inputs
                ) AS r
                """,
                [detected_at],
            ).fetchone()[0]
        finally:
            shipped.execute("RESET TimeZone")
        assert found == bar


def test_months_are_counted_in_utc(db: psycopg.Connection[Any]) -> None:
    db.execute(
        """
        INSERT INTO price_bars VALUES ('X', '1M', '2024-02-01 00:00+00', 1, 2, 1, 2, 1),
            ('X', '1M', '2024-03-01 00:00+00', 1, 2, 1, 2, 1)
        """
    )
    db.execute("SET TimeZone = 'America/New_York'")
    for detected_at, bar in (("2024-03-31 23:59+00", "2024-02-01"), ("2024-04-01 00:00+00", "2024-03-01")):
        found = db.execute(
            """
            SELECT r.bar_ts = (%s || ' 00:00+00')::timestamptz FROM ml.compute_event_features(
                ROW('X', '1M', 'hammer', NULL, %s::timestamptz, NULL, NULL, NULL, NULL, NULL, NULL)::ml.event_inputs
            ) AS r
            """,
            [bar, detected_at],
        ).fetchone()[0]
        assert found


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"symbol": "NONE"}, "bar_missing"),
        ({"symbol": None}, "bar_missing"),
        ({"detected_at": "1999-01-01"}, "bar_missing"),
        ({"detected_at": None}, "bar_missing"),
        ({"detected_at": "infinity"}, "bar_missing"),
        ({"detected_at": "-infinity"}, "bar_missing"),
        ({"detected_at": "294276-12-31"}, "bar_missing"),
        ({"detected_at": "4713-01-01 BC"}, "bar_missing"),
        ({"detected_at": "2013-03-09 00:00+00"}, None),  # the last bar is of 2013-03-01 and ends a day later
        ({"detected_at": "2013-03-09 00:00:01+00"}, "bar_missing"),
        ({"timeframe": "7d"}, "timeframe_unknown"),
        ({"timeframe": None}, "timeframe_unknown"),
        ({"timeframe": "1h"}, "bar_missing"),
    ],
)
def test_reason(shipped: psycopg.Connection[Any], change: dict[str, Any], reason: str | None) -> None:
    result = compute(shipped, **{**HAMMER, **change})
    assert result["reason"] == reason
    assert (result["features"] is None) == (reason is not None)
    assert (result["bar_ts"] is None) == (reason is not None)
    assert result["inputs"]["direction"] == "bullish"


@pytest.mark.parametrize(
    ("pattern_type", "given", "direction", "sign"),
    [
        ("hammer", None, "bullish", 1),
        ("HAMMER", None, "bullish", 1),
        ("shooting_star", None, "bearish", -1),
        ("doji", None, None, None),
        ("something_else", None, None, None),
        (None, None, None, None),
        ("doji", "Bullish", "Bullish", 1),
        ("doji", "LONG", "LONG", 1),
        ("doji", "buy", "buy", 1),
        ("doji", "up", "up", 1),
        ("doji", "1", "1", 1),
        ("doji", "BEARISH", "BEARISH", -1),
        ("doji", "short", "short", -1),
        ("doji", "Sell", "Sell", -1),
        ("doji", "down", "down", -1),
        ("hammer", "-1", "-1", -1),
        ("hammer", "sideways", "sideways", None),
        ("hammer", "", "", None),
    ],
)
def test_direction(
    shipped: psycopg.Connection[Any], pattern_type: str | None, given: str | None, direction: str | None, sign: int
) -> None:
    result = compute(shipped, **{**HAMMER, "pattern_type": pattern_type, "direction": given})
    assert result["inputs"]["direction"] == direction
    assert result["features"]["direction_sign"] == sign
    signed = ("body_atr", "rsi_14", "favourable_room_60_atr", "stop_distance_atr", "risk_to_reward", "cci_14")
    assert all((result["features"][name] is None) == (sign is None) for name in signed)
    assert result["features"]["support_distance_pct"] > 0
    assert result["features"]["atr_14_to_atr_100_log"] is not None


@pytest.mark.parametrize(
    ("pattern_type", "bars"),
    [("hammer", 1), ("bearish_engulfing", 2), ("morning_star", 3), ("bearish_three_line_strike", 4), ("mat_hold", 5)],
)
def test_levels_that_are_not_given(shipped: psycopg.Connection[Any], pattern_type: str, bars: int) -> None:
    inputs = compute(shipped, **{**HAMMER, "pattern_type": pattern_type})["inputs"]
    last = prices(shipped, "ts <= '2010-06-01'")
    bullish = inputs["direction"] == "bullish"
    assert inputs["entry_price"] == last[0][2]
    assert inputs["support"] == min(low for _, low, _ in last[:20])
    assert inputs["resistance"] == max(high for high, _, _ in last[:20])
    pattern = last[:bars]
    assert inputs["stop_price"] == (min(p[1] for p in pattern) if bullish else max(p[0] for p in pattern))
    assert (inputs["target_price"] > last[0][2]) == bullish


def test_start_at_sets_the_bars_of_the_pattern(shipped: psycopg.Connection[Any]) -> None:
    pattern = prices(shipped, "ts BETWEEN '2010-04-15' AND '2010-06-01'")
    result = compute(shipped, **{**HAMMER, "start_at": "2010-04-14 12:00+00"})
    assert result["features"]["pattern_bars"] == len(pattern)
    assert result["inputs"]["stop_price"] == min(low for _, low, _ in pattern)
    for start_at in ("2010-06-01 00:00:01+00", "infinity", "-infinity"):
        result = compute(shipped, **{**HAMMER, "start_at": start_at})
        assert result["features"]["pattern_bars"] == 1
    assert compute(shipped, **{**HAMMER, "start_at": "1900-01-01"})["features"]["pattern_bars"] == 250


def test_given_levels_are_kept(shipped: psycopg.Connection[Any]) -> None:
    given = {"entry_price": 126.0, "target_price": 140.0, "stop_price": 119.0, "support": 120.0, "resistance": 130.0}
    result = compute(shipped, **HAMMER, **given)
    assert {name: result["inputs"][name] for name in given} == given
    features = result["features"]
    assert features["support_distance_pct"] == pytest.approx(100 * 6 / 126)
    assert features["resistance_distance_pct"] == pytest.approx(100 * 4 / 126)
    assert features["risk_to_reward"] == pytest.approx(0.5)


def test_no_value_is_an_error(shipped: psycopg.Connection[Any]) -> None:
    """Every nasty price in every place: stored as given, and no feature is NaN or infinite."""
    nasty = [math.nan, math.inf, -math.inf, 0.0, -0.0, -5.0, 5e-324, 1e-300, 1e-50, 1e50, 1.7e308, -1.7e308]
    names = ("entry_price", "target_price", "stop_price", "support", "resistance")
    columns = ", ".join(names)
    rows = shipped.execute(
        """
        WITH nasty (v) AS (SELECT unnest(%s::float8[]) UNION ALL SELECT NULL UNION ALL SELECT 125)
        SELECT ml.feature_array(r.features), r.inputs = e.e
        FROM (
            SELECT ROW(
                'IBM', '1d', 'hammer', d.d, '2010-06-01 00:00+00'::timestamptz, NULL,
                a.v, b.v, c.v, a.v + 0, b.v
            )::ml.event_inputs AS e
            FROM nasty AS a, nasty AS b, nasty AS c, (VALUES ('bullish'), ('bearish')) AS d (d)
            OFFSET 0
        ) AS e, LATERAL ml.compute_event_features(e.e) AS r
        """,
        [nasty],
    ).fetchall()
    assert len(rows) == 14**3 * 2, columns
    values = list(itertools.chain.from_iterable(array for array, _ in rows))
    assert all(value is None or math.isfinite(value) for value in values)
    assert compute(shipped)["reason"] == "timeframe_unknown"
    nothing = shipped.execute("SELECT (ml.compute_event_features(NULL)).reason").fetchone()[0]
    assert nothing == "timeframe_unknown"
