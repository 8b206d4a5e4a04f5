"""The vocabulary covers TA-Lib: each output of each of its functions is exactly one pattern type."""

from typing import Any

import numpy as np
import pandas as pd
import psycopg
import talib
from feature_data import BARS


def test_every_candlestick_function_is_mapped(db: psycopg.Connection[Any]) -> None:
    rows = db.execute(
        """
        SELECT talib_function, talib_sign, direction FROM ml.pattern_types
        WHERE talib_function IS NOT NULL
        """
    ).fetchall()
    signs: dict[str, list[int | None]] = {}
    for function, sign, _ in rows:
        signs.setdefault(function, []).append(sign)
    assert set(signs) == set(talib.get_function_groups()["Pattern Recognition"])
    assert all(found == [None] or (None not in found and len(set(found)) == len(found)) for found in signs.values())
    for path in sorted(BARS.glob("*.csv.gz")):
        bars = pd.read_csv(path)
        prices = [bars[name].to_numpy(float) for name in ("open", "high", "low", "close")]
        for function, found in signs.items():
            seen = set(np.sign(getattr(talib, function)(*prices))) - {0}
            assert found == [None] or seen <= set(found), function


def test_names_and_directions_agree(db: psycopg.Connection[Any]) -> None:
    rows = db.execute("SELECT pattern_type, direction, bars FROM ml.pattern_types").fetchall()
    for name, direction, bars in rows:
        assert name == name.lower().replace(" ", "_")
        assert 1 <= bars <= 5
        for word in ("bullish", "bearish"):
            assert word not in name or direction == word
