"""What happens after the bar that an event names changes no feature, not even in the last bit."""

from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from feature_data import ask


class _Undo(Exception):
    pass


def _events(db: psycopg.Connection[Any]) -> pd.DataFrame:
    bars = db.execute(
        "SELECT symbol, timeframe, ts FROM price_bars WHERE ts <= '2009-06-30' AND symbol IN ('GOOG', 'IBM') ORDER BY 1, 3"
    ).fetchall()
    events = pd.DataFrame(bars, columns=["symbol", "timeframe", "detected_at"]).iloc[::3].reset_index(drop=True)
    types = ["hammer", "bearish_engulfing", "morning_star", "evening_star", "head_and_shoulders"]
    events["pattern_type"] = [types[k % 5] for k in range(len(events))]
    lag = pd.to_timedelta([(k * 7) % 60 for k in range(len(events))], unit="D")
    events["start_at"] = (events["detected_at"] - lag).where(np.arange(len(events)) % 2 == 0)
    return events


CHANGES = {
    "cut": "DELETE FROM price_bars WHERE ts > '2009-06-30'",
    "garbled": """
        UPDATE price_bars
        SET open = open * 7, high = high * 90, low = low / 50, close = close * 3, volume = 12345 - volume % 1000
        WHERE ts > '2009-06-30'
    """,
    "extended": """
        INSERT INTO price_bars SELECT symbol, timeframe, ts + interval '20 years', 1, 2, 0.5, 1.5, 0
        FROM price_bars WHERE ts > '2009-06-30'
    """,
}


@pytest.mark.parametrize("change", CHANGES)
def test_later_bars_do_not_matter(shipped: psycopg.Connection[Any], change: str) -> None:
    events = _events(shipped)
    before, _ = ask(shipped, events)
    with pytest.raises(_Undo), shipped.transaction():
        assert shipped.execute(CHANGES[change]).rowcount > 1000
        after, _ = ask(shipped, events)
        raise _Undo
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
def test_session_settings_do_not_matter(shipped: psycopg.Connection[Any], zone: str) -> None:
    events = _events(shipped)
    before, about = ask(shipped, events)
    try:
        shipped.execute("SELECT set_config('TimeZone', %s, false)", [zone])
        shipped.execute("SET DateStyle = 'SQL, DMY'")
        shipped.execute("SET IntervalStyle = 'iso_8601'")
        shipped.execute("SET extra_float_digits = -5")
        shipped.execute("SET search_path = ''")
        # Text in and out of the session would suffer from these settings, so times and numbers stay on the server.
        shipped.execute("RESET extra_float_digits")
        shipped.execute("SET DateStyle = 'ISO, DMY'")
        shipped.execute("SET search_path = public")
        after, about_after = ask(shipped, events)
    finally:
        shipped.execute("RESET ALL")
    assert before.tobytes() == after.tobytes()
    assert (about["bar_ts"] == about_after["bar_ts"]).all()
