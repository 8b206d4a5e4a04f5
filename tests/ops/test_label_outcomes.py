"""ml.label_outcomes against a pandas walk over the bars that shares no code with it."""

import math
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import talib

LABEL_COLUMNS = "outcome_label, outcome_at, realized_pnl, max_drawdown, label_source, data_quality_score"
DAY = timedelta(days=1)
START = datetime(2020, 1, 6, tzinfo=UTC)
NAN = float("nan")


def random_bars(seed: int, count: int, symbol: str = "TEST", volatility: float = 0.02) -> pd.DataFrame:
    """Return daily bars on weekdays; some flat, some far from the one before."""
    random = np.random.default_rng(seed)
    days = pd.bdate_range(START, periods=count, tz="UTC")
    close = 100 * np.exp(np.cumsum(random.normal(0, volatility, count)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, volatility / 2, count))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, volatility / 2, count)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, volatility / 2, count)))
    bars = pd.DataFrame({"ts": days, "open": open_, "high": high, "low": low, "close": close})
    flat = random.random(count) < 0.05
    for name in ("open", "high", "low"):
        bars.loc[flat, name] = bars.loc[flat, "close"]
    return bars.assign(symbol=symbol, timeframe="1d", volume=1000.0)


def insert_bars(db: psycopg.Connection[Any], bars: pd.DataFrame) -> None:
    columns = ["symbol", "timeframe", "ts", "open", "high", "low", "close", "volume"]
    with (
        db.cursor() as cursor,
        cursor.copy(f"COPY public.price_bars ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in bars[columns].itertuples(index=False):
            copy.write_row(row)


def insert_event(db: psycopg.Connection[Any], detected_at: datetime, **given: Any) -> uuid.UUID:
    values = {
        "id": uuid.uuid4(),
        "symbol": "TEST",
        "timeframe": "1d",
        "pattern_type": "my_pattern",
        "direction": "bullish",
        "detected_at": detected_at,
        "rule_confidence": 0.6,
    } | given
    db.execute(
        f"INSERT INTO public.pattern_events ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",
        list(values.values()),
    )
    return values["id"]


def label(db: psycopg.Connection[Any], **parameters: Any) -> dict[str, Any]:
    call = ", ".join(f"{name} => %({name})s" for name in parameters)
    return db.execute(f"SELECT ml.label_outcomes({call})", parameters).fetchone()[0]


def labels(db: psycopg.Connection[Any]) -> dict[uuid.UUID, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in db.execute(f"SELECT id, {LABEL_COLUMNS} FROM public.pattern_events")}


def oracle(
    bars: pd.DataFrame, detected_at: datetime, side: int, barrier: float = 2, horizon: int = 10
) -> tuple[Any, ...] | None:
    """Walk bar by bar; None where there is no label."""
    bars = bars.sort_values("ts").reset_index(drop=True)
    usable = bars.index[(bars["ts"] == detected_at) | (bars["ts"] + DAY <= detected_at)]
    if len(usable) == 0 or bars["ts"][usable[-1]] + DAY + timedelta(days=7) < detected_at:
        return None
    used = usable[-1]
    prices = [bars[name].to_numpy() for name in ("high", "low", "close")]
    atr = talib.ATR(*prices, timeperiod=100)[used] if len(bars) > 100 else NAN
    after = bars.iloc[used + 1 : used + 1 + horizon]
    if math.isnan(atr) or after.empty:
        return None
    entry = after["open"].iloc[0]
    target, stop = entry + side * barrier * atr, entry - side * barrier * atr
    outcome, exit_price, drawdown, both, hole, moved, steps = None, NAN, 0.0, False, False, 0, 0
    previous = bars["ts"][used]
    for bar in after.itertuples():
        steps += 1
        hole |= bar.ts - previous > timedelta(days=8)
        previous = bar.ts
        moved += bar.high > bar.low
        reached = bar.high >= target if side > 0 else bar.low <= target
        stopped = bar.low <= stop if side > 0 else bar.high >= stop
        if stopped:
            outcome, both = "loss", reached
            exit_price = min(stop, bar.open) if side > 0 else max(stop, bar.open)
            drawdown = max(drawdown, side * (entry - exit_price) / entry)
            break
        drawdown = max(drawdown, side * (entry - (bar.low if side > 0 else bar.high)) / entry)
        if reached:
            outcome = "win"
            exit_price = max(target, bar.open) if side > 0 else min(target, bar.open)
            break
    if outcome is None:
        if len(after) < horizon:
            return None
        outcome, exit_price = "timeout", after["close"].iloc[-1]
    quality = min(1, (used + 1) / 260) * moved / steps * (0.5 if hole else 1) * (0.5 if both else 1)
    return outcome, previous + DAY, side * (exit_price - entry) / entry, drawdown, "TB2", quality


def assert_same(found: tuple[Any, ...], expected: tuple[Any, ...] | None) -> None:
    if expected is None:
        assert found == (None,) * 6
        return
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    assert found[4] == expected[4]
    assert [found[2], found[3], found[5]] == pytest.approx([expected[2], expected[3], expected[5]], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("volatility", [0.005, 0.02, 0.06])
def test_equals_oracle_on_random_bars_with_holes(db: psycopg.Connection[Any], volatility: float) -> None:
    bars = random_bars(7, 420, volatility=volatility)
    bars = bars.drop(index=[*range(150, 165), 220, 300, 301])
    insert_bars(db, bars)
    expected = {}
    for position in range(0, len(bars), 3):
        day = bars["ts"].iloc[position].to_pydatetime()
        for side, direction in ((1, "bullish"), (-1, "bearish")):
            # Names the bar, lies inside the next bar, on a weekend, in a hole or long after the last bar.
            for at in (day, day + timedelta(hours=30), day + timedelta(days=5), day + timedelta(days=17)):
                expected[insert_event(db, at, direction=direction)] = oracle(bars, at, side)
    counts = label(db)
    found = labels(db)
    for event, outcome in expected.items():
        assert_same(found[event], outcome)
    labelled = [outcome for outcome in expected.values() if outcome is not None]
    assert counts["examined"] == len(expected)
    assert counts["labelled"] == len(labelled) > 300
    for name in ("win", "loss", "timeout"):
        assert counts[name] == sum(outcome[0] == name for outcome in labelled) > 0
    assert counts["no_atr"] > 0
    assert counts["no_bar"] > 0
    assert counts["pending"] > 0

    again = label(db, p_relabel=True)
    assert again["labelled"] == 0
    assert again["examined"] == len(expected)
    assert label(db)["labelled"] == 0
    assert labels(db) == found


@pytest.fixture
def calm(db: psycopg.Connection[Any]) -> pd.DataFrame:
    """Insert 130 bars with a true range of exactly 2: barriers lie 4 away from the entry at 100."""
    days = pd.bdate_range(START, periods=130, tz="UTC")
    bars = pd.DataFrame({"ts": days, "open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0})
    bars = bars.assign(symbol="TEST", timeframe="1d", volume=1.0)
    insert_bars(db, bars)
    return bars


def set_bar(db: psycopg.Connection[Any], ts: pd.Timestamp, **values: float) -> None:
    changes = ", ".join(f"{name} = {value}" for name, value in values.items())
    db.execute(f"UPDATE public.price_bars SET {changes} WHERE ts = %s", [ts.to_pydatetime()])


def test_both_barriers_in_one_bar_is_a_loss_of_half_quality(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    event = insert_event(db, calm["ts"][110].to_pydatetime())
    set_bar(db, calm["ts"][113], high=105, low=95)
    assert label(db)["both_barriers"] == 1
    outcome, at, pnl, drawdown, source, quality = labels(db)[event]
    assert (outcome, at, source) == ("loss", calm["ts"][113] + DAY, "TB2")
    assert (pnl, drawdown) == (-0.04, 0.04)
    assert quality == pytest.approx(111 / 260 / 2)


def test_entry_is_the_next_open_and_a_gap_fills_at_the_open(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    set_bar(db, calm["ts"][111], open=99.0)
    set_bar(db, calm["ts"][112], open=110.0, high=111.0, low=104.0, close=110.0)
    long, short = (insert_event(db, calm["ts"][110].to_pydatetime(), direction=side) for side in ("bullish", "bearish"))
    label(db)
    found = labels(db)
    assert found[long][0] == "win"
    assert found[long][2] == (110 - 99) / 99
    assert found[long][3] == 0
    assert found[short][0] == "loss"
    assert found[short][2] == -(110 - 99) / 99
    assert found[short][3] == (110 - 99) / 99


def test_no_label_before_a_barrier_or_the_horizon(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    event = insert_event(db, calm["ts"][110].to_pydatetime())
    end = calm["ts"][120] + DAY
    early = label(db, p_at=end.to_pydatetime() - timedelta(seconds=1))
    assert (early["labelled"], early["pending"]) == (0, 1)
    assert label(db, p_at=end.to_pydatetime())["timeout"] == 1
    assert labels(db)[event][:4] == ("timeout", end, 0.0, 0.01)


def test_a_running_bar_is_not_looked_at(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    event = insert_event(db, calm["ts"][110].to_pydatetime())
    set_bar(db, calm["ts"][111], high=200)
    assert label(db, p_at=(calm["ts"][111] + timedelta(hours=20)).to_pydatetime())["pending"] == 1
    assert label(db, p_at=(calm["ts"][111] + DAY).to_pydatetime())["win"] == 1
    assert labels(db)[event][1] == calm["ts"][111] + DAY


def test_late_bars_complete_a_label_and_change_one_only_on_request(
    db: psycopg.Connection[Any], calm: pd.DataFrame
) -> None:
    db.execute("DELETE FROM public.price_bars WHERE ts > %s", [calm["ts"][115].to_pydatetime()])
    event = insert_event(db, calm["ts"][110].to_pydatetime())
    assert label(db)["pending"] == 1
    insert_bars(db, calm.iloc[116:])
    assert label(db)["timeout"] == 1
    set_bar(db, calm["ts"][112], low=90)
    assert label(db)["examined"] == 0
    assert labels(db)[event][0] == "timeout"
    assert label(db, p_relabel=True)["loss"] == 1
    assert labels(db)[event][0] == "loss"


def test_missing_direction_gets_no_label(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    event = insert_event(db, calm["ts"][110].to_pydatetime(), direction=None)
    assert label(db)["no_direction"] == 1
    assert labels(db)[event] == (None,) * 6


def test_label_columns_of_others_are_never_touched(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    day = calm["ts"][110].to_pydatetime()
    kept = {
        insert_event(db, day, outcome_label="win", label_source="analyst"),
        insert_event(db, day, outcome_label="win"),
        insert_event(db, day, label_source="analyst"),
    }
    before = labels(db)
    # Their labels stand where they stood; ours go beside them.
    assert label(db, p_relabel=True)["timeout"] == 3
    assert {event: labels(db)[event] for event in kept} == before
    own = insert_event(db, day)
    assert label(db, p_label="TB1", p_barrier_atr=1, p_horizon=5)["labelled"] == 4
    assert label(db, p_relabel=True)["labelled"] == 1
    assert labels(db)[own][4] == "TB1"
    assert {event: labels(db)[event] for event in kept} == before


def test_filters_and_limit_take_the_earliest_first(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    days = [calm["ts"][position].to_pydatetime() for position in (103, 105, 107, 109)]
    events = [insert_event(db, day) for day in days]
    assert label(db, p_since=days[1], p_until=days[3], p_limit=1)["labelled"] == 1
    assert [labels(db)[event][0] for event in events] == [None, "timeout", None, None]
    assert label(db, p_limit=0)["labelled"] == 0
    assert label(db)["labelled"] == 3


def test_session_settings_change_nothing(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    event = insert_event(db, calm["ts"][110].to_pydatetime())
    db.execute("SET timezone = 'America/New_York'; SET datestyle = 'German'; SET search_path = ''")
    assert label(db)["labelled"] == 1
    db.execute("RESET ALL")
    assert labels(db)[event][1] == calm["ts"][120] + DAY


def test_labelling_writes_label_columns_only(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    insert_event(db, calm["ts"][110].to_pydatetime())
    others = f"SELECT to_jsonb(e) - string_to_array('{LABEL_COLUMNS}', ', ') FROM public.pattern_events AS e"
    logged = "SELECT count(*) FROM public.ml_predictions"
    before = db.execute(others).fetchall(), db.execute(logged).fetchone()
    assert label(db)["labelled"] == 1
    assert (db.execute(others).fetchall(), db.execute(logged).fetchone()) == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"p_label": " "}, "p_label is empty"),
        ({"p_barrier_atr": 0}, "p_barrier_atr is 0"),
        ({"p_barrier_atr": NAN}, "p_barrier_atr is NaN"),
        ({"p_horizon": 0}, "p_horizon is 0"),
        ({"p_barrier_atr": 1.5}, "give other parameters another p_label"),
        ({"p_horizon": 5}, "give other parameters another p_label"),
    ],
)
def test_wrong_parameters_are_refused(db: psycopg.Connection[Any], parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
        label(db, **parameters)


def test_an_event_in_use_is_left_for_the_next_run_and_only_what_is_written_is_locked(
    db: psycopg.Connection[Any], db_url: str, calm: pd.DataFrame
) -> None:
    detected = [pd.Timestamp(calm["ts"].iloc[place]).to_pydatetime() for place in (105, 110, 115)]
    used, free, theirs = (insert_event(db, at) for at in detected)
    db.execute(
        "UPDATE public.pattern_events SET outcome_label = 'win', outcome_at = %s WHERE id = %s",
        (detected[2] + DAY, theirs),
    )
    with psycopg.connect(db_url) as writer, psycopg.connect(db_url) as labeller, psycopg.connect(db_url) as third:
        writer.execute("UPDATE public.pattern_events SET rule_confidence = 0.1 WHERE id = %s", (used,))
        labeller.execute("SET lock_timeout = '100ms'")
        report = label(labeller)
        assert (report["labelled"], report["locked"]) == (2, 1)
        # Another session may change what labelling has not written.
        third.execute("SET lock_timeout = '100ms'")
        third.execute("UPDATE public.pattern_events SET rule_confidence = 0.2 WHERE id = %s", (theirs,))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            third.execute("UPDATE public.pattern_events SET rule_confidence = 0.2 WHERE id = %s", (free,))
        third.rollback()
        labeller.commit()
        assert labels(db)[used] == (None,) * 6
        assert db.execute("SELECT count(*) FROM public.pattern_labels WHERE event_id = %s", (used,)).fetchone() == (0,)
    report = label(db)
    assert (report["labelled"], report["locked"]) == (1, 0)
    assert labels(db)[used][4] == "TB2"
