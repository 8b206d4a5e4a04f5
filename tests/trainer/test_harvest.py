"""trainer harvest against a plain loop, and against a live row of the same information."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import psycopg
import pytest
import talib

from trainer.bars import load_bars
from trainer.errors import UserError
from trainer.harvest import RARITY, HarvestReport, detect, event_id, harvest, read_vocabulary
from trainer.resources import sample_bars


def sample(symbol: str, count: int = 700) -> pd.DataFrame:
    file = next(file for file in sample_bars() if file.name.startswith(symbol))
    bars = pd.read_csv(file, parse_dates=["ts"]).head(count)
    return bars.assign(ts=bars["ts"].dt.tz_localize("UTC"))


def load(db: psycopg.Connection[Any], folder: Path, bars: pd.DataFrame, name: str = "bars.csv") -> None:
    file = folder / name
    bars.to_csv(file, index=False)
    load_bars(db, [file])


def events(db: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT detected_at, symbol, pattern_type, direction, rule_confidence FROM public.pattern_events ORDER BY 1, 4"
    ).fetchall()


def textbook_score(bars: pd.DataFrame, bar: int, side: int, agree: int, oppose: int, strong: bool) -> float:
    """The rule score of one bar, read off its definition."""
    now = bars.iloc[bar]
    score = 0.40 + 0.02 * min(agree, 3) - 0.02 * min(oppose, 3) + (0.04 if strong else 0)
    if side * (now.close - bars["close"].iloc[bar - 10]) < 0:
        score += 0.12
    if now.volume > 1.2 * bars["volume"].iloc[bar - 19 : bar + 1].mean():
        score += 0.10
    high, low, close = (bars[name].to_numpy(float) for name in ("high", "low", "close"))
    score += 0.10 * min(1.0, abs(now.close - now.open) / talib.ATR(high, low, close, 14)[bar])
    place = (now.close - now.low) / (now.high - now.low) if now.high > now.low else 0.5
    score += 0.08 * (place if side > 0 else 1 - place)
    strength = talib.RSI(close, 14)[bar]
    if (strength < 30) if side > 0 else (strength > 70):
        score += 0.10
    return min(1.0, max(0.0, score))


def test_equals_a_plain_loop(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    bars = sample("IBM")
    load(db, tmp_path, bars)
    report = harvest(db)
    vocabulary = db.execute(
        "SELECT pattern_type, direction, talib_function, talib_sign FROM ml.pattern_types "
        "WHERE talib_function IS NOT NULL AND direction IS NOT NULL"
    ).fetchall()
    prices = [bars[name].to_numpy(float) for name in ("open", "high", "low", "close")]
    outputs = {row[2]: getattr(talib, row[2])(*prices) for row in vocabulary if row[2] in RARITY}
    expected = []
    for bar in range(260, len(bars)):
        found: dict[str, list[tuple[int, str, int]]] = {"bullish": [], "bearish": []}
        for name, direction, function, sign in vocabulary:
            if function in outputs and (output := int(outputs[function][bar])) * sign > 0:
                found[direction].append((RARITY.index(function), name, output))
        for direction, patterns in found.items():
            if patterns:
                _, name, output = min(patterns)
                side = 1 if direction == "bullish" else -1
                other = found["bearish" if side > 0 else "bullish"]
                score = textbook_score(bars, bar, side, len(patterns) - 1, len(other), abs(output) >= 200)
                expected.append((bars["ts"][bar].to_pydatetime(), "IBM", name, direction, score))
    actual = events(db)
    assert [row[:4] for row in actual] == [row[:4] for row in sorted(expected, key=lambda row: (row[0], row[3]))]
    scores = [row[4] for row in sorted(expected, key=lambda row: (row[0], row[3]))]
    assert [row[4] for row in actual] == pytest.approx(scores, abs=5.1e-5)
    assert report == HarvestReport(series=1, bars=700, events=len(expected), new=len(expected))
    assert len(expected) > 200


def test_every_directed_function_has_a_rank(db: psycopg.Connection[Any]) -> None:
    vocabulary = read_vocabulary(db)
    assert {pattern.function for pattern in vocabulary} == set(RARITY)
    assert [pattern.function for pattern in vocabulary] == sorted(
        (pattern.function for pattern in vocabulary), key=RARITY.index
    )


def test_an_unknown_function_is_a_sentence(db: psycopg.Connection[Any]) -> None:
    db.execute("UPDATE ml.pattern_types SET talib_function = 'CDLNONE' WHERE pattern_type = 'hammer'")
    with pytest.raises(UserError, match=r"no candlestick function CDLNONE.*for hammer"):
        harvest(db)


def test_running_again_adds_nothing(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    bars = sample("IBM")
    load(db, tmp_path, bars.head(600))
    first = harvest(db)
    before = db.execute("SELECT id, xmin FROM public.pattern_events ORDER BY 1").fetchall()
    assert harvest(db) == HarvestReport(1, 600, first.events, 0)
    assert db.execute("SELECT id, xmin FROM public.pattern_events ORDER BY 1").fetchall() == before
    load(db, tmp_path, bars)
    more = harvest(db)
    assert more.new == more.events - first.events > 0


def test_a_harvested_row_equals_a_live_one(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    load(db, tmp_path, sample("MSFT", 400))
    harvest(db)
    rows = (
        "SELECT to_jsonb(e) - ARRAY['id', 'metadata', 'ml_metadata'] "
        "FROM public.pattern_events AS e ORDER BY detected_at, direction"
    )
    harvested = db.execute(rows).fetchall()
    required = "symbol, timeframe, pattern_type, detected_at, rule_confidence"
    db.execute(f"CREATE TEMPORARY TABLE kept AS SELECT {required} FROM public.pattern_events")
    db.execute("DELETE FROM public.pattern_events")
    db.execute(f"INSERT INTO public.pattern_events ({required}) SELECT {required} FROM kept")
    assert db.execute(rows).fetchall() == harvested
    assert len(harvested) > 50


def test_later_bars_change_nothing(db: psycopg.Connection[Any]) -> None:
    vocabulary, bars = read_vocabulary(db), sample("AAPL", 600)
    full = detect(bars, vocabulary)
    assert len(full) > 150
    for cut in (300, 401, 599):
        garbage = bars.copy()
        garbage.loc[cut:, ["open", "high", "low", "close"]] = [1.0, 1e6, 0.5, 3.0]
        expected = full[full["detected_at"] < bars["ts"][cut]].reset_index(drop=True)
        for changed in (bars.head(cut), garbage):
            found = detect(changed, vocabulary)
            found = found[found["detected_at"] < bars["ts"][cut]].reset_index(drop=True)
            pd.testing.assert_frame_equal(found, expected)


def test_filters(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    load(db, tmp_path, sample("IBM", 400))
    load(db, tmp_path, sample("MSFT", 400), "other.csv")
    whole = {row[:4]: row[4] for row in _harvested(db)}
    since = sample("IBM")["ts"][350].to_pydatetime()
    assert {row[1] for row in _harvested(db, symbols=["IBM"])} == {"IBM"}
    recent = {row[:4]: row[4] for row in _harvested(db, since=since)}
    assert recent == {key: score for key, score in whole.items() if key[0] >= since}
    early = _harvested(db, warm_up=0)
    assert len(early) > 1.5 * len(whole)
    with pytest.raises(UserError, match=r"no bars to harvest for timeframe 1h: loaded are IBM 1d, MSFT 1d\."):
        harvest(db, timeframes=["1h"])
    with pytest.raises(UserError, match="no bars to harvest for symbol NOPE: loaded are IBM 1d"):
        harvest(db, symbols=["IBM", "NOPE"])
    with pytest.raises(UserError, match="warm_up is -1"):
        harvest(db, warm_up=-1)


def _harvested(db: psycopg.Connection[Any], **filters: Any) -> list[tuple[Any, ...]]:
    db.execute("DELETE FROM public.pattern_events")
    harvest(db, **filters)
    return events(db)


def test_a_running_bar_is_left_out(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    load(db, tmp_path, sample("IBM", 500))
    last = max(row[0] for row in _harvested(db))
    end = last + timedelta(days=1)
    assert max(row[0] for row in _harvested(db, at=end)) == last
    assert max(row[0] for row in _harvested(db, at=end - timedelta(seconds=1))) < last


def test_ids_are_the_same_everywhere() -> None:
    moment = datetime(2024, 5, 17, 20, tzinfo=UTC)
    assert str(event_id("AAPL", "1d", moment, "bullish")) == "a62ca5fb-55c9-5a1f-b5ad-7244b12182aa"
    elsewhere = moment.astimezone(ZoneInfo("Asia/Tokyo"))
    assert event_id("AAPL", "1d", elsewhere, "bullish") == event_id("AAPL", "1d", moment, "bullish")


def test_short_and_empty_series(db: psycopg.Connection[Any]) -> None:
    vocabulary = read_vocabulary(db)
    assert detect(sample("FB").head(0), vocabulary).empty
    assert detect(sample("FB").head(1), vocabulary, warm_up=0).empty
    assert detect(sample("FB"), vocabulary).empty
    scores = detect(sample("FB"), vocabulary, warm_up=0)["rule_confidence"]
    assert scores.between(0, 1).all()
    assert np.isfinite(scores).all()


def test_a_database_without_tables_is_a_sentence(empty_db: psycopg.Connection[Any]) -> None:
    with pytest.raises(UserError, match="alembic upgrade head"):
        harvest(empty_db)
