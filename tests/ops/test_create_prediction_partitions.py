"""Weekly partitions of the log."""

import itertools
import time

import psycopg
from support import rows, value

BOUNDS = """
    SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'ml_predictions'::regclass ORDER BY 1
"""


def test_weeks_follow_without_a_gap_in_every_time_zone(db):
    db.execute("SET TimeZone = 'America/New_York'")
    made = value(db, "SELECT ml.create_prediction_partitions('2031-12-20 03:00+00', 4)")
    assert made == 5
    db.execute("SET TimeZone = 'UTC'")
    found = [row for row in rows(db, BOUNDS) if row["name"] > "ml_predictions_2031"]
    assert [row["name"][-7:] for row in found] == ["2031w51", "2031w52", "2032w01", "2032w02", "2032w03"]
    assert found[0]["bound"] == "FOR VALUES FROM ('2031-12-15 00:00:00+00') TO ('2031-12-22 00:00:00+00')"
    assert all(a["bound"].split("'")[3] == b["bound"].split("'")[1] for a, b in itertools.pairwise(found))
    assert value(db, "SELECT ml.create_prediction_partitions('2031-12-20 03:00+00', 4)") == 0


def test_bounds_do_not_depend_on_how_a_session_writes_times(db):
    for zone in ("Asia/Shanghai", "Asia/Jakarta", "Asia/Kolkata"):
        db.execute("SET DateStyle = 'SQL, DMY'")
        db.execute(f"SET TimeZone = '{zone}'")
        db.execute("SELECT ml.create_prediction_partitions('2035-06-06', 1)")
        # Until where they follow each other without a gap.
        health = value(db, "SELECT ml_health('1 hour', '2035-06-06 12:00+00')")
        assert health["partitions_until"] == "2035-06-18T00:00:00+00:00"
    db.execute("RESET ALL")
    assert value(db, "SELECT ml.create_prediction_partitions('2035-06-06', 2)") == 1


def test_a_detached_partition_is_taken_back(db):
    name = value(
        db, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ml_predictions'::regclass LIMIT 1"
    )
    db.execute(f"ALTER TABLE ml_predictions DETACH PARTITION {name}")
    assert value(db, "SELECT ml.create_prediction_partitions()") == 1


def test_the_migration_makes_partitions_ahead(db):
    assert value(db, "SELECT (ml_health() ->> 'partitions_until')::timestamptz - now() > interval '70 days'")


def test_writers_are_not_blocked(db, db_url):
    with psycopg.connect(db_url) as other:
        other.execute("SELECT ml.create_prediction_partitions('2040-01-01', 3)")
        started = time.monotonic()
        db.execute("SET lock_timeout = '1s'")
        db.execute("SELECT log_ml_prediction(gen_random_uuid(), 'x', 0.5, 0.5)")
        assert time.monotonic() - started < 1
        other.rollback()
