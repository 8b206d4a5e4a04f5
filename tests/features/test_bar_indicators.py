"""However bars come, go and change, the stored indicators are, bit for bit, those of a rebuild from nothing."""

import threading
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UPSERT = """
    INSERT INTO price_bars VALUES (%s, '1d', %s, %s, %s, %s, %s, %s)
    ON CONFLICT (symbol, timeframe, ts) DO UPDATE SET open = excluded.open, high = excluded.high,
        low = excluded.low, close = excluded.close, volume = excluded.volume
"""


def stored(db: psycopg.Connection[Any]) -> list[tuple[str]]:
    """Return both tables as text, which carries every bit of a float8."""
    return db.execute(
        """
        SELECT s::text, i::text FROM ml.bar_states AS s FULL JOIN ml.bar_indicators AS i USING (symbol, timeframe, ts)
        ORDER BY symbol, timeframe, ts
        """
    ).fetchall()


def assert_as_rebuilt(db: psycopg.Connection[Any]) -> None:
    """Compare what is stored with what a rebuild stores."""
    maintained = stored(db)
    bars = db.execute("SELECT count(*) FROM price_bars").fetchone()[0]
    assert len(maintained) == bars
    assert db.execute("SELECT ml.refresh_bar_indicators()").fetchone()[0] == bars
    assert stored(db) == maintained


def random_bars(count: int, seed: int, symbol: str = "A") -> list[tuple[Any, ...]]:
    """Return bars of a random walk at consecutive days."""
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, count)))
    opening = close * np.exp(generator.normal(0, 0.01, count))
    high = np.maximum(opening, close) * (1 + abs(generator.normal(0, 0.01, count)))
    low = np.minimum(opening, close) * (1 - abs(generator.normal(0, 0.01, count)))
    volume = generator.integers(0, 1000, count).astype(float)
    days = np.datetime64("2020-01-01") + np.arange(count)
    columns = (opening, high, low, close, volume)
    return [(symbol, f"{days[k]} 00:00+00", *(round(float(column[k]), 2) for column in columns)) for k in range(count)]


def insert(db: psycopg.Connection[Any], bars: list[tuple[Any, ...]]) -> None:
    """Insert bars by one statement."""
    rows = ", ".join(["(%s, '1d', %s::timestamptz, %s, %s, %s, %s, %s)"] * len(bars))
    db.execute(f"INSERT INTO price_bars VALUES {rows}", [value for bar in bars for value in bar])


change = st.one_of(
    st.tuples(st.just("insert"), st.integers(0, 299), st.integers(1, 60)),
    st.tuples(st.just("upsert"), st.integers(0, 299), st.integers(0, 3)),
    st.tuples(st.just("update"), st.integers(0, 299), st.integers(0, 40)),
    st.tuples(st.just("delete"), st.integers(0, 299), st.integers(0, 40)),
    st.tuples(st.just("shift"), st.integers(0, 299), st.integers(0, 40)),
    st.tuples(st.just("rename"), st.integers(0, 299), st.integers(0, 40)),
    st.tuples(st.just("unusable"), st.integers(0, 299), st.just(0)),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(change, min_size=1, max_size=8), first=st.integers(1, 300), seed=st.integers(0, 3))
def test_any_history_of_changes(
    db: psycopg.Connection[Any], changes: list[tuple[str, int, int]], first: int, seed: int
) -> None:
    db.execute("TRUNCATE price_bars")
    assert stored(db) == []
    bars = random_bars(340, seed)
    insert(db, bars[:first])
    for kind, start, length in changes:
        day, until = bars[start][1], bars[min(start + length, 339)][1]
        if kind == "insert":
            db.execute("CREATE TEMPORARY TABLE late (LIKE price_bars)")
            with db.cursor().copy("COPY late FROM STDIN") as copy:
                for bar in bars[start : start + length]:
                    copy.write_row((bar[0], "1d", *bar[1:]))
            db.execute("INSERT INTO price_bars SELECT * FROM late ORDER BY ts DESC ON CONFLICT DO NOTHING")
            db.execute("DROP TABLE late")
        elif kind == "upsert":
            for bar in bars[start : start + length]:
                db.execute(UPSERT, (*bar[:5], bar[5], 77.0))
        elif kind == "update":
            db.execute(
                "UPDATE price_bars SET close = low, volume = volume + 1 WHERE ts BETWEEN %s AND %s", [day, until]
            )
        elif kind == "delete":
            db.execute("DELETE FROM price_bars WHERE ts BETWEEN %s AND %s", [day, until])
        elif kind == "shift":
            db.execute(
                "UPDATE price_bars SET ts = ts + interval '12 hours' WHERE ts BETWEEN %s AND %s AND symbol = 'A'"
                " AND extract(hour FROM ts AT TIME ZONE 'UTC') = 0"
                " AND NOT EXISTS (SELECT FROM price_bars AS o WHERE o.symbol = 'A'"
                " AND o.ts = price_bars.ts + interval '12 hours')",
                [day, until],
            )
        elif kind == "rename":
            db.execute(
                "UPDATE price_bars SET symbol = 'B' WHERE symbol = 'A' AND ts BETWEEN %s AND %s"
                " AND NOT EXISTS (SELECT FROM price_bars AS o WHERE o.symbol = 'B' AND o.ts = price_bars.ts)",
                [day, until],
            )
        else:
            db.execute("UPDATE price_bars SET high = 1e300 WHERE ts = %s", [day])
    assert_as_rebuilt(db)


def test_one_by_one_is_as_all_at_once(db: psycopg.Connection[Any]) -> None:
    bars = random_bars(330, 5)
    with db.transaction():
        for bar in bars:
            insert(db, [bar])
    single = stored(db)
    db.execute("TRUNCATE price_bars")
    insert(db, bars)
    assert stored(db) == single
    assert_as_rebuilt(db)


def test_more_bars_than_one_round(db: psycopg.Connection[Any]) -> None:
    bars = random_bars(4300, 6)
    insert(db, bars[:1900])
    insert(db, bars[1900:])
    assert_as_rebuilt(db)


def test_bars_sent_again_are_not_recomputed(db: psycopg.Connection[Any]) -> None:
    bars = random_bars(120, 7)
    insert(db, bars)
    versions = "SELECT array_agg(ctid ORDER BY ts) FROM ml.bar_indicators"
    before = db.execute(versions).fetchone()
    for bar in bars[:3]:
        db.execute(UPSERT, bar)
    db.execute("UPDATE price_bars SET close = close")
    assert db.execute(versions).fetchone() == before


def test_only_the_touched_series_and_bars_are_written(db: psycopg.Connection[Any]) -> None:
    insert(db, random_bars(150, 8, "A") + random_bars(150, 9, "B"))
    marks = "SELECT symbol, ts, xmin::text FROM ml.bar_indicators ORDER BY 1, 2"
    before = db.execute(marks).fetchall()
    db.execute("UPDATE price_bars SET close = high WHERE symbol = 'B' AND ts = '2020-05-01 00:00+00'")
    after = db.execute(marks).fetchall()
    written = [new[:2] for old, new in zip(before, after, strict=True) if old != new]
    assert {symbol for symbol, _ in written} == {"B"}
    assert len(written) == 150 - 121  # from 1 May, the 122nd day, on
    assert_as_rebuilt(db)


def test_refresh_closes_a_gap(db: psycopg.Connection[Any]) -> None:
    insert(db, random_bars(200, 10))
    whole = stored(db)
    db.execute("ALTER TABLE price_bars DISABLE TRIGGER USER")
    db.execute("DELETE FROM price_bars WHERE ts >= '2020-06-01'")
    db.execute("DELETE FROM ml.bar_states WHERE ts >= '2020-05-01'")
    insert(db, [bar for bar in random_bars(200, 10) if bar[1] >= "2020-06-01"])
    db.execute("ALTER TABLE price_bars ENABLE TRIGGER USER")
    # The next bar alone is enough: what is missing before it is computed too.
    extra = random_bars(201, 10)[200]
    insert(db, [extra])
    db.execute("DELETE FROM price_bars WHERE ts = %s", [extra[1]])
    assert stored(db) == whole
    assert db.execute("SELECT ml.refresh_bar_indicators('A', '1d', '2020-07-01')").fetchone()[0] == 18
    assert db.execute("SELECT ml.refresh_bar_indicators('NONE')").fetchone()[0] == 0
    assert stored(db) == whole


def test_writers_of_one_series_wait_for_each_other(db: psycopg.Connection[Any], db_url: str) -> None:
    bars = random_bars(262, 11)
    insert(db, bars[:260])
    with psycopg.connect(db_url) as first, psycopg.connect(db_url) as second:
        insert(first, [bars[260]])

        def append() -> None:
            insert(second, [bars[261]])
            second.commit()

        writer = threading.Thread(target=append)
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        first.commit()
        writer.join(10)
        assert not writer.is_alive()
    assert_as_rebuilt(db)


def test_a_late_bar_meets_an_uncommitted_one(db: psycopg.Connection[Any], db_url: str) -> None:
    bars = random_bars(200, 12)
    insert(db, bars[:50] + bars[51:199])
    with psycopg.connect(db_url) as first, psycopg.connect(db_url) as second:
        insert(first, [bars[199]])
        writer = threading.Thread(target=lambda: (insert(second, [bars[50]]), second.commit()))
        writer.start()
        writer.join(0.3)
        first.rollback()
        writer.join(10)
    assert_as_rebuilt(db)


def test_a_snapshot_that_is_too_old_is_refused(db: psycopg.Connection[Any], db_url: str) -> None:
    bars = random_bars(202, 13)
    insert(db, bars[:200])
    with psycopg.connect(db_url) as late:
        late.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        late.execute("SELECT count(*) FROM price_bars")
        insert(db, [bars[200]])
        with pytest.raises(psycopg.errors.SerializationFailure):
            insert(late, [bars[201]])
    assert_as_rebuilt(db)


def test_statements_over_many_series_do_not_deadlock(db: psycopg.Connection[Any], db_url: str) -> None:
    symbols = [f"S{k}" for k in range(12)]
    series = {symbol: random_bars(60, k, symbol) for k, symbol in enumerate(symbols)}
    failures: list[Exception] = []

    def write(order: list[str], offset: int) -> None:
        try:
            with psycopg.connect(db_url, autocommit=True) as connection:
                for k in range(offset, 60, 2):
                    insert(connection, [series[symbol][k] for symbol in order])
        except psycopg.Error as error:
            failures.append(error)

    writers = [
        threading.Thread(target=write, args=(symbols, 0)),
        threading.Thread(target=write, args=(symbols[::-1], 1)),
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert failures == []
    assert_as_rebuilt(db)


def test_a_writer_of_bars_needs_no_other_right(db: psycopg.Connection[Any]) -> None:
    role = "feature_test_bar_writer"
    with db.transaction(force_rollback=True):
        db.execute(f"CREATE ROLE {role}")
        db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON price_bars TO {role}")
        db.execute(f"SET LOCAL ROLE {role}")
        insert(db, random_bars(30, 14))
        db.execute("UPDATE price_bars SET close = high WHERE ts = '2020-01-10 00:00+00'")
        db.execute("DELETE FROM price_bars WHERE ts = '2020-01-11 00:00+00'")
        for statement in (
            "SELECT FROM ml.bar_indicators",
            "SELECT ml.refresh_bar_indicators()",
            "SELECT ml.recompute_bar_indicators('A', '1d', '-infinity')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                db.execute(statement)
        db.execute("RESET ROLE")
        assert_as_rebuilt(db)
