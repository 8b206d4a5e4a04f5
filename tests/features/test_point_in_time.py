"""What happens after the bar that an event names changes no feature, not even in the last bit."""

from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from feature_data import ask


def _events(db: psycopg.Connection[Any]) -> pd.DataFrame:
    bars = db.execute(
        """
        SELECT symbol, timeframe, ts FROM price_bars WHERE ts <= '2009-06-30' AND symbol IN ('GOOG', 'IBM')
        ORDER BY symbol, ts
        """
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
        SET open = open * 7, high = high * 90, low = low / 50, close = close * 3, volume = 1e6 + sqrt(volume)
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
    with shipped.transaction(force_rollback=True):
        assert shipped.execute(CHANGES[change]).rowcount > 1000
        after, _ = ask(shipped, events)
    assert before.tobytes() == after.tobytes()


SETTINGS = {
    "TimeZone": "America/New_York",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-10",
    "search_path": "",
    "jit_above_cost": "0",
    "enable_indexscan": "off",
}


RESULTS = """
    SELECT b.ts, p.pattern_type, ml.compute_event_features(ROW(
        b.symbol, b.timeframe, p.pattern_type, NULL, b.ts + interval '30 hours',
        NULL, NULL, NULL, NULL, NULL, NULL
    )::ml.event_inputs) AS result
    FROM public.price_bars AS b
    CROSS JOIN (VALUES ('hammer'), ('evening_star')) AS p (pattern_type)
    WHERE b.symbol = 'GOOG' AND b.ts < '2006-01-01 00:00+00'
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_session_settings_do_not_matter(shipped: psycopg.Connection[Any], url_of: Any, setting: str) -> None:
    """A new session, because the first call of one is what reads the function's text."""
    with psycopg.connect(url_of(shipped), autocommit=True) as session:
        session.execute("SELECT set_config(%s, %s, false)", [setting, SETTINGS[setting]])
        session.execute(f"CREATE TEMPORARY TABLE actual AS {RESULTS}")
        session.execute("RESET ALL")
        session.execute(f"CREATE TEMPORARY TABLE expected AS {RESULTS}")
        count = session.execute("SELECT count(*) FROM expected").fetchone()[0]
        same = "SELECT count(*) FROM expected AS e JOIN actual AS a USING (ts, pattern_type) WHERE e.result = a.result"
        assert session.execute(same).fetchone()[0] == count > 600
