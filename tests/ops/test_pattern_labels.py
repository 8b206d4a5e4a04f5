"""Labels side by side: every definition against a walk over the bars, analysts' labels, and what stays as it was."""

import math
import threading
from datetime import timedelta
from typing import Any

import pandas as pd
import psycopg
import pytest
import talib
from support import event, one, rows, value
from test_label_outcomes import DAY, insert_bars, insert_event, label, random_bars, set_bar

LABEL_COLUMNS = "outcome_label, outcome_at, realized_pnl, max_drawdown, label_source, data_quality_score"


def columns(db, event_id):
    return one(db, f"SELECT {LABEL_COLUMNS} FROM pattern_events WHERE id = %s", event_id)


def standing(db, definition):
    return {
        row["event_id"]: row
        for row in rows(
            db, "SELECT * FROM pattern_labels WHERE withdrawn_at IS NULL AND definition = %s ORDER BY id", definition
        )
    }


def walk(bars, used, side, *, target, stop, atr_length, horizon, is_range=False):
    """Return outcome, number of bars, profit and drawdown; None where there is no label."""
    atr = talib.ATR(*(bars[name].to_numpy() for name in ("high", "low", "close")), timeperiod=atr_length)[used]
    after = bars.iloc[used + 1 : used + 1 + horizon]
    if math.isnan(atr) or after.empty:
        return None
    entry, drawdown = after["open"].iloc[0], 0.0
    for count, (_, bar) in enumerate(after.iterrows(), 1):
        if is_range:
            seen = after.iloc[:count]
            if seen["high"].max() - seen["low"].min() >= target * atr:
                return "win", count, None, None
            continue
        gain, loss = (bar.high, bar.low) if side > 0 else (bar.low, bar.high)
        if stop is not None and side * (entry - loss) >= stop * atr:
            exit_price = side * min(side * (entry - side * stop * atr), side * bar.open)
            return (
                "loss",
                count,
                side * (exit_price - entry) / entry,
                max(drawdown, side * (entry - exit_price) / entry),
            )
        drawdown = max(drawdown, side * (entry - loss) / entry)
        if side * (gain - entry) >= target * atr:
            exit_price = side * max(side * (entry + side * target * atr), side * bar.open)
            return "win", count, side * (exit_price - entry) / entry, drawdown
    if len(after) < horizon:
        return None
    pnl = None if is_range else side * (after["close"].iloc[-1] - entry) / entry
    return "timeout", horizon, pnl, None if is_range else drawdown


DEFINITIONS = {
    "TB2": {"target": 2, "stop": 2, "atr_length": 100, "horizon": 10},
    "D1": {"target": 1, "stop": 1, "atr_length": 14, "horizon": 10},
    "HIT": {"target": 1.5, "stop": None, "atr_length": 100, "horizon": 10},
    "RX": {"target": 3.2, "stop": None, "atr_length": 100, "horizon": 10, "is_range": True},
    "WIDE": {"target": 3, "stop": 1, "atr_length": 14, "horizon": 20},
}


def test_each_definition_equals_a_walk_over_the_bars(db: psycopg.Connection[Any]) -> None:
    db.execute(
        "INSERT INTO ml_label_definitions (name, target_atr, stop_atr, atr_length, horizon, description)"
        " VALUES ('WIDE', 3, 1, 14, 20, 'let profits run')"
    )
    bars = random_bars(11, 320)
    insert_bars(db, bars)
    events = {
        insert_event(db, bars["ts"].iloc[position].to_pydatetime(), direction=direction): (position, side)
        for position in range(0, len(bars), 3)
        for side, direction in ((1, "bullish"), (-1, "bearish"))
    }
    undirected = insert_event(db, bars["ts"].iloc[200].to_pydatetime(), direction=None)
    for name, definition in DEFINITIONS.items():
        expected = {event_id: walk(bars, *place, **definition) for event_id, place in events.items()}
        counts = label(db, p_label=name)
        found = standing(db, name)
        assert counts["no_direction"] == (0 if name == "RX" else 1)
        assert (undirected in found) == (name == "RX")
        found.pop(undirected, None)
        assert found.keys() == {event_id for event_id, outcome in expected.items() if outcome}
        assert len(found) > 120
        assert len({row["outcome_label"] for row in found.values()}) == (2 if name in ("HIT", "RX") else 3)
        for event_id, row in found.items():
            outcome, count, pnl, drawdown = expected[event_id]
            assert (row["outcome_label"], row["bars_to_outcome"]) == (outcome, count)
            assert row["outcome_at"] == bars["ts"].iloc[events[event_id][0] + count] + DAY
            assert row["realized_pnl"] == (pnl if pnl is None else pytest.approx(pnl, rel=1e-9, abs=1e-12))
            assert row["max_drawdown"] == (
                drawdown if drawdown is None else pytest.approx(drawdown, rel=1e-9, abs=1e-12)
            )
            assert row["labelled_by"] == "ml.label_outcomes"
        assert label(db, p_label=name, p_relabel=True)["labelled"] == 0
        filled = value(
            db, "SELECT array_agg(DISTINCT label_source) FILTER (WHERE label_source <> '') FROM pattern_events"
        )
        assert filled == ["TB2"]


def test_the_window_of_a_label_is_the_one_that_labelling_uses(db: psycopg.Connection[Any]) -> None:
    """A timeout's profit is close against entry, a win's or loss's is the barrier against entry or better."""
    bars = random_bars(12, 300)
    insert_bars(db, bars)
    for position in range(110, 289):
        insert_event(db, bars["ts"].iloc[position].to_pydatetime(), direction=["bullish", "bearish"][position % 2])
    label(db)
    compared = rows(
        db,
        "SELECT l.*, w.* FROM pattern_labels AS l CROSS JOIN LATERAL ml.label_window(l.event_id) AS w"
        " WHERE l.bars_to_outcome > 1",
    )
    assert len(compared) > 150
    exact = 0
    for row in compared:
        side = 1 if row["direction"] == "bullish" else -1
        barrier = {"win": row["target_price"], "loss": row["stop_price"], "timeout": None}[row["outcome_label"]]
        assert row["entry_at"] == row["bar_ts"] + 3 * DAY if row["bar_ts"].weekday() == 4 else row["bar_ts"] + DAY
        assert row["entry_price"] == bars.set_index("ts").loc[pd.Timestamp(row["entry_at"]), "open"]
        if barrier is None:
            assert row["outcome_at"] == row["window_ends_at"]
        else:
            gain = side * (barrier - row["entry_price"]) / row["entry_price"]
            exact += row["realized_pnl"] == pytest.approx(gain, rel=1e-9)
            assert abs(row["realized_pnl"]) >= abs(gain) * (1 - 1e-9)
        assert row["window_ends_at"] is None or row["ended_bars"] == 10
    assert exact > 50
    assert db.execute("SELECT * FROM ml.label_window(gen_random_uuid())").fetchall() == []


@pytest.fixture
def calm(db: psycopg.Connection[Any]) -> pd.DataFrame:
    """Insert 130 bars with a true range of exactly 2: TB2's barriers lie 4 away from the entry at 100."""
    days = pd.bdate_range("2020-01-06", periods=130, tz="UTC")
    bars = pd.DataFrame({"ts": days, "open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0})
    insert_bars(db, bars := bars.assign(symbol="TEST", timeframe="1d", volume=1.0))
    return bars


@pytest.fixture
def detected(db: psycopg.Connection[Any], calm: pd.DataFrame) -> Any:
    return insert_event(db, calm["ts"][110].to_pydatetime())


def set_label(db: psycopg.Connection[Any], event_id: Any, outcome: str = "win", **given: Any) -> dict[str, Any]:
    parameters = {"p_event_id": event_id, "p_outcome": outcome, "p_reason": "the target was touched"} | given
    call = ", ".join(f"{name} => %({name})s" for name in parameters)
    return db.execute(f"SELECT ml.set_label({call})", parameters).fetchone()[0]


def withdraw(db: psycopg.Connection[Any], event_id: Any, by: str | None = None) -> dict[str, Any]:
    return value(db, "SELECT ml.withdraw_label(%s, 'was wrong', %s)", event_id, by)


def test_a_new_name_becomes_a_definition_that_means_one_thing(db: psycopg.Connection[Any], detected: Any) -> None:
    assert label(db, p_label="TB1", p_barrier_atr=1.5, p_horizon=5)["labelled"] == 1
    found = one(db, "SELECT * FROM ml_label_definitions WHERE name = 'TB1'")
    assert (found["target_atr"], found["stop_atr"], found["atr_length"], found["horizon"]) == (1.5, 1.5, 100, 5)
    assert label(db, p_label="TB1")["examined"] == 0
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"TB1 means 1\.5 ATR and 5 bars: give other"):
        label(db, p_label="TB1", p_barrier_atr=2)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no label definition d1: take one of D1, HIT, RX"):
        label(db, p_label="d1")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"ml\.set_label"):
        label(db, p_label="analyst")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="ml_label_definitions are never changed"):
        db.execute("UPDATE ml_label_definitions SET horizon = 20")


def test_definitions_that_make_no_sense_are_refused(db: psycopg.Connection[Any]) -> None:
    for wrong in (
        {"target_atr": float("nan")}, {"target_atr": None}, {"horizon": 0}, {"atr_length": 50}, {"name": " x"},
        {"kind": "range"}, {"kind": "analyst"}, {"stop_atr": -1},
    ):  # fmt: skip
        sound = {"name": "X", "target_atr": 1, "stop_atr": 1, "atr_length": 14, "horizon": 5, "description": "x"}
        values = sound | wrong
        with pytest.raises(psycopg.errors.IntegrityError):
            db.execute(
                f"INSERT INTO ml_label_definitions ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",
                list(values.values()),
            )


def test_labelling_again_keeps_the_history(db: psycopg.Connection[Any], calm: pd.DataFrame, detected: Any) -> None:
    label(db)
    set_bar(db, calm["ts"][112], low=90)
    label(db, p_relabel=True)
    first, second = rows(db, "SELECT * FROM pattern_labels ORDER BY id")
    assert (first["outcome_label"], first["withdrawn_by"]) == ("timeout", "ml.label_outcomes")
    assert (second["outcome_label"], second["bars_to_outcome"], second["withdrawn_at"]) == ("loss", 2, None)
    assert first["labelled_at"] < first["withdrawn_at"] <= second["labelled_at"]
    for change in ("outcome_label = 'win'", "withdrawn_at = NULL", "event_id = gen_random_uuid()"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="never changed"):
            db.execute(f"UPDATE pattern_labels SET {change}")


def test_columns_that_were_cleared_are_filled_again(db: psycopg.Connection[Any], detected: Any) -> None:
    label(db)
    before = columns(db, detected)
    db.execute("UPDATE pattern_events SET outcome_label = NULL, label_source = NULL, realized_pnl = NULL")
    assert label(db)["labelled"] == 1
    assert columns(db, detected) == before
    assert value(db, "SELECT count(*) FROM pattern_labels") == 1


def test_an_analyst_wins_until_the_label_is_withdrawn(db: psycopg.Connection[Any], detected: Any) -> None:
    label(db)
    label(db, p_label="D1")
    automatic = columns(db, detected)
    rest = f"SELECT to_jsonb(e) - string_to_array('{LABEL_COLUMNS}', ', ') AS rest FROM pattern_events AS e"
    untouched = rows(db, rest), value(db, "SELECT count(*) FROM ml_predictions")
    said = set_label(db, detected, " Win ", p_labelled_by="ann", p_realized_pnl=0.04)
    assert said["automatic"]["outcome_label"] == "timeout"
    assert (said["labelled_by"], said["in_event"], said["replaced"]) == ("ann", True, None)
    shown = columns(db, detected)
    assert (shown["outcome_label"], shown["label_source"], shown["realized_pnl"]) == ("win", "analyst", 0.04)
    assert shown["outcome_at"] == automatic["outcome_at"]
    assert label(db)["examined"] == 0
    assert label(db, p_relabel=True)["labelled"] == 0
    assert columns(db, detected) == shown

    set_label(db, detected, "loss", p_labelled_by="bob")
    assert columns(db, detected)["outcome_label"] == "loss"
    assert columns(db, detected)["realized_pnl"] is None
    said = withdraw(db, detected, "carol")
    assert (said["withdrawn"], said["labelled_by"], said["now"]["definition"]) == ("loss", "bob", "TB2")
    assert columns(db, detected) == automatic
    assert (rows(db, rest), value(db, "SELECT count(*) FROM ml_predictions")) == untouched
    history = rows(db, "SELECT * FROM pattern_labels WHERE definition = 'analyst' ORDER BY id")
    me = value(db, "SELECT session_user::text")
    assert [(r["outcome_label"], r["labelled_by"], r["recorded_by"], r["withdrawn_by"]) for r in history] == [
        ("win", "ann", me, "bob"),
        ("loss", "bob", me, "carol"),
    ]
    with pytest.raises(psycopg.errors.NoDataFound, match="nothing to withdraw"):
        withdraw(db, detected)


def test_an_analyst_may_be_first(db: psycopg.Connection[Any], detected: Any) -> None:
    set_label(db, detected, "win")
    assert columns(db, detected)["label_source"] == "analyst"
    assert value(db, "SELECT labelled_by = session_user FROM pattern_labels")
    assert label(db)["timeout"] == 1
    assert columns(db, detected)["outcome_label"] == "win"
    withdraw(db, detected)
    assert columns(db, detected)["label_source"] == "TB2"
    assert columns(db, detected)["outcome_label"] == "timeout"


def test_withdrawing_where_there_was_no_automatic_label_frees_the_columns(
    db: psycopg.Connection[Any], detected: Any
) -> None:
    before = columns(db, detected)
    set_label(db, detected)
    assert withdraw(db, detected)["now"] is None
    assert columns(db, detected) == before
    assert label(db)["labelled"] == 1


def test_labels_of_the_users_own_stay_in_their_columns(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    for own in ({"outcome_label": "win"}, {"outcome_label": "loss", "label_source": "desk"}):
        adopted = insert_event(db, calm["ts"][110].to_pydatetime(), **own)
        before = columns(db, adopted)
        assert set_label(db, adopted, "loss")["in_event"] is False
        label(db)
        assert columns(db, adopted) == before
        trained = "SELECT outcome_label FROM ml.training_dataset() WHERE id = %s"
        assert value(db, trained, adopted) == "loss"
        withdraw(db, adopted)
        assert value(db, trained, adopted) == "timeout"
        assert columns(db, adopted) == before


def test_who_disagrees_with_an_early_outcome_knew_at_the_end_of_the_window(
    db: psycopg.Connection[Any], calm: pd.DataFrame, detected: Any
) -> None:
    set_bar(db, calm["ts"][112], low=90)
    at = (calm["ts"][112] + DAY).to_pydatetime()
    assert label(db, p_at=at)["loss"] == 1
    assert set_label(db, detected, "loss", p_at=at)["outcome_at"].startswith(at.date().isoformat())
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="2 of its 10 bars have ended"):
        set_label(db, detected, "win", p_at=at)
    set_label(db, detected, "win")
    assert columns(db, detected)["outcome_at"] == calm["ts"][120] + DAY
    assert standing(db, "analyst")[detected]["bars_to_outcome"] is None


def test_no_label_before_the_window_is_complete(db: psycopg.Connection[Any], calm: pd.DataFrame) -> None:
    early = insert_event(db, calm["ts"][110].to_pydatetime())
    at = (calm["ts"][113] + DAY).to_pydatetime()
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="3 of its 10 bars have ended"):
        set_label(db, early, p_at=at)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="must lie between"):
        set_label(db, early, p_at=at, p_outcome_at=at + timedelta(seconds=1))
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="must lie between"):
        set_label(db, early, p_at=at, p_outcome_at=(calm["ts"][110] - DAY).to_pydatetime())
    assert value(db, "SELECT count(*) FROM pattern_labels") == 0
    assert columns(db, early)["outcome_label"] is None
    set_label(db, early, p_at=at, p_outcome_at=at)
    assert columns(db, early)["outcome_at"] == at
    no_bars = insert_event(db, calm["ts"][110].to_pydatetime(), symbol="NOBARS")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="0 of its 10 bars"):
        set_label(db, no_bars)


WRONG = (
    ({"outcome": "up"}, "p_outcome is up: it must be win, loss or timeout"),
    ({"outcome": None}, "p_outcome is null"),
    ({"p_reason": " "}, "p_reason is empty"),
    ({"p_realized_pnl": float("nan")}, "p_realized_pnl is NaN"),
    ({"p_max_drawdown": -0.1}, r"p_max_drawdown is -0\.1"),
    ({"p_max_drawdown": float("nan")}, "p_max_drawdown is NaN"),
    ({"p_data_quality_score": 2}, "p_data_quality_score is 2"),
    ({"p_outcome_at": "infinity"}, "p_outcome_at is infinity"),
    ({"p_event_id": "00000000-0000-0000-0000-000000000000"}, "there is no event 0000"),
    ({"p_event_id": None}, "there is no event null"),
)


def test_wrong_labels_are_refused(db: psycopg.Connection[Any], detected: Any) -> None:
    for given, message in WRONG:
        with pytest.raises(psycopg.Error, match=message):
            set_label(db, detected, **given)
    assert columns(db, detected)["outcome_label"] is None
    assert value(db, "SELECT count(*) FROM pattern_labels") == 0


def test_two_analysts_at_once_queue_and_the_later_one_stands(
    db: psycopg.Connection[Any], db_url: str, detected: Any
) -> None:
    failed: list[BaseException] = []

    def judge(name: str, outcome: str) -> None:
        try:
            with psycopg.connect(db_url, autocommit=True) as connection:
                for _ in range(10):
                    set_label(connection, detected, outcome, p_labelled_by=name)
        except psycopg.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=judge, args=pair) for pair in (("ann", "win"), ("bob", "loss"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    (stands,) = standing(db, "analyst").values()
    assert value(db, "SELECT count(*) FROM pattern_labels") == 20
    assert columns(db, detected)["outcome_label"] == stands["outcome_label"]
    assert stands["id"] == value(db, "SELECT max(id) FROM pattern_labels")


def test_two_labelling_runs_at_once_store_one_label_each(
    db: psycopg.Connection[Any], db_url: str, calm: pd.DataFrame
) -> None:
    for position in range(101, 119):
        insert_event(db, calm["ts"][position].to_pydatetime())
    with psycopg.connect(db_url) as first, psycopg.connect(db_url) as second:
        assert label(first)["labelled"] == 18
        done: list[int] = []
        other = threading.Thread(target=lambda: done.append(label(second)["labelled"]))
        other.start()
        other.join(0.3)
        first.commit()
        other.join(10)
        second.commit()
    assert done == [0]
    assert value(db, "SELECT count(*) FROM pattern_labels") == 18


def test_an_analyst_who_is_faster_than_a_running_labelling_wins(
    db: psycopg.Connection[Any], db_url: str, detected: Any
) -> None:
    with psycopg.connect(db_url) as analyst, psycopg.connect(db_url) as run:
        set_label(analyst, detected, "win")
        # The run does not wait for the analyst; the event has its turn in the next one.
        assert label(run)["locked"] == 1
        run.commit()
        analyst.commit()
    assert standing(db, "TB2") == {}
    assert label(db)["labelled"] == 1
    assert columns(db, detected)["label_source"] == "analyst"
    assert set(standing(db, "TB2")) == {detected}


def test_a_role_with_execute_alone_may_label_and_its_name_is_kept(
    db: psycopg.Connection[Any], db_url: str, detected: Any
) -> None:
    role = f"analyst_{value(db, 'SELECT pg_backend_pid()')}"
    db.execute(f"CREATE ROLE {role}")
    try:
        db.execute(f"GRANT USAGE ON SCHEMA ml TO {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
            db.execute(f"SET LOCAL ROLE {role}")
            set_label(db, detected)
        db.execute(f"GRANT EXECUTE ON FUNCTION ml.set_label, ml.withdraw_label TO {role}")
        with db.transaction():
            db.execute(f"SET LOCAL ROLE {role}")
            set_label(db, detected)
        assert event(db, detected)["label_source"] == "analyst"
    finally:
        db.execute(f"DROP OWNED BY {role}")
        db.execute(f"DROP ROLE {role}")
