"""Roll-ups by minute and hour: what a row is, quantiles after any merging, what is final, and nothing lost."""

import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prediction_log import histogram, latency_bucket, log, prediction, random_predictions, summary
from support import one, rows, value

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
KEY = ("bucket", "source", "role", "model_version")


def keyed(found):
    return {tuple(row.pop(name) for name in KEY): row for row in found}


def assert_same(found, expected):
    found = keyed(found)
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        for name, number in row.items():
            assert found[key][name] == (pytest.approx(number, abs=1e-9) if name.endswith("_sum") else number), (
                key,
                name,
            )


def by_minute(db, start=None, end=None):
    return rows(db, "SELECT * FROM ml.metrics_by_minute(%s, %s)", start, end)


def by_hour(db, start=None, end=None):
    return rows(db, "SELECT * FROM ml.metrics_by_hour(%s, %s)", start, end)


# ------------------------------------------------------------------------------------------------- histograms


def test_every_whole_microsecond_is_in_the_bucket_of_the_exact_bounds(db):
    bounds = [Fraction(5, 4) ** i for i in range(75)]
    latencies = sorted(
        {int(bound) + step for bound in bounds for step in (-1, 0, 1, 2)} | set(range(200)) | {2**31 - 1}
    )
    found = value(db, "SELECT array_agg(ml.latency_bucket(us) ORDER BY us) FROM unnest(%s::int[]) AS us", latencies)
    assert found == [latency_bucket(latency) for latency in latencies]
    assert value(db, "SELECT ml.latency_bucket(-5)") == 1
    assert value(db, "SELECT ml.latency_bucket(NULL)") is None


def test_bins_of_confidences_are_numpys(db):
    edges = [i / 20 for i in range(21)]
    values = [
        near for edge in edges for near in (np.nextafter(edge, -1), edge, np.nextafter(edge, 2)) if 0 <= near <= 1
    ]
    found = value(
        db,
        "SELECT array_agg(ml.confidence_bin(v) ORDER BY n) FROM unnest(%s::float8[]) WITH ORDINALITY AS x (v, n)",
        values,
    )
    assert found == [int(np.histogram([v], edges)[0].argmax()) + 1 for v in values]
    assert (
        rows(
            db,
            "SELECT ml.confidence_bin(v) AS bin FROM unnest('{NULL,NaN,Infinity,-Infinity,-0.01,1.01}'::float8[]) AS v",
        )
        == [{"bin": None}] * 6
    )


SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
HISTOGRAMS = st.lists(st.lists(st.integers(0, 10**12), max_size=74), max_size=6)


@SLOW
@given(HISTOGRAMS)
def test_merging_is_adding_bin_by_bin(db, histograms):
    size = max(map(len, histograms), default=0)
    expected = np.sum([h + [0] * (size - len(h)) for h in histograms], axis=0).tolist() if size else []
    literals = ["{" + ",".join(map(str, h)) + "}" for h in histograms]
    assert value(db, "SELECT ml.merge_histograms(h::bigint[]) FROM unnest(%s::text[]) AS h", literals) == expected


@SLOW
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", 'q"', "é", ""]), st.integers(1, 10**15)), max_size=5))
def test_merging_counts_is_adding_key_by_key(db, counts):
    expected = {}
    for given_counts in counts:
        for key, number in given_counts.items():
            expected[key] = expected.get(key, 0) + number
    documents = [psycopg.types.json.Jsonb(c) for c in counts]
    assert value(db, "SELECT ml.merge_counts(c) FROM unnest(%s::jsonb[]) AS c", documents) == expected


def test_merging_skips_null_and_nothing_is_empty(db):
    assert value(db, "SELECT ml.merge_histograms(h) FROM (VALUES (NULL::bigint[]), ('{1,2}'), (NULL)) AS v (h)") == [
        1,
        2,
    ]
    assert value(db, "SELECT ml.merge_histograms(NULL::bigint[]) WHERE false") == []
    assert value(db, "SELECT ml.merge_counts(NULL::jsonb) WHERE false") == {}


LATENCIES = st.lists(st.one_of(st.integers(1, 11_000_000), st.integers(1, 3000)), min_size=1, max_size=60)


@SLOW
@given(st.lists(LATENCIES, min_size=1, max_size=5), st.sampled_from([0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1]))
def test_quantiles_are_within_12_percent_of_percentile_disc_after_merging(db, groups, fraction):
    both = one(
        db,
        "SELECT (SELECT percentile_disc(%s) WITHIN GROUP (ORDER BY us) / 1000.0 FROM unnest(%s::int[]) AS us) AS exact,"
        " (SELECT ml.histogram_quantile(ml.merge_histograms(h::bigint[]), %s) FROM unnest(%s::text[]) AS h) AS merged",
        fraction, [us for group in groups for us in group],
        fraction, ["{" + ",".join(map(str, histogram(group))) + "}" for group in groups],
    )  # fmt: skip
    assert both["merged"] == pytest.approx(float(both["exact"]), rel=0.12)


def test_a_year_of_minutes_merged_by_month_and_quarter_keeps_its_quantiles(db):
    """Latencies that change their level through a year, merged minute to hour to day to year."""
    generator = np.random.default_rng(3)
    level = 900 * (1 + 0.6 * np.sin(np.arange(365) / 30))
    latencies = np.maximum(1, generator.lognormal(np.log(level)[:, None, None], 0.8, (365, 24, 20)).astype(int))
    hours = [histogram(hour.tolist()) for day in latencies for hour in day]
    db.execute("CREATE TEMP TABLE hours (hour integer, h bigint[])")
    with db.cursor() as cursor, cursor.copy("COPY hours FROM STDIN") as copy:
        for number, counts in enumerate(hours):
            copy.write_row((number, "{" + ",".join(map(str, counts)) + "}"))
    merged = value(
        db,
        "WITH days AS (SELECT ml.merge_histograms(h) AS h FROM hours GROUP BY hour / 24) SELECT ml.merge_histograms(h) FROM days",
    )
    assert merged == value(db, "SELECT ml.merge_histograms(h) FROM hours") == histogram(latencies.ravel().tolist())
    for fraction in (0.5, 0.95, 0.99):
        exact = np.quantile(latencies, fraction, method="inverted_cdf") / 1000
        assert value(db, "SELECT ml.histogram_quantile(%s::bigint[], %s)", merged, fraction) == pytest.approx(
            exact, rel=0.12
        )


def test_quantiles_of_nothing_and_of_what_is_beyond_all_buckets(db):
    quantile = "SELECT ml.histogram_quantile(%s::bigint[], %s)"
    assert value(db, quantile, [], 0.5) is None
    assert value(db, quantile, [0] * 74, 0.5) is None
    assert value(db, quantile, None, 0.5) is None
    assert value(db, quantile, [1], None) is None
    assert value(db, quantile, [0] * 73 + [5], 0.5) == pytest.approx(1.25**73 / 1000)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(psycopg.Error, match=r"p_fraction is .*: it must be 0 to 1"):
            db.execute(quantile, ([1], wrong))


# ------------------------------------------------------------------------------------------- readers, no scheduler


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_without_a_scheduler_readers_count_the_log(db, zone):
    db.execute(f"SET TimeZone = '{zone}'")
    predictions = random_predictions(1500, START, timedelta(hours=3))
    log(db, predictions)
    assert_same(by_minute(db), summary(predictions, MINUTE))
    assert_same(by_hour(db), summary(predictions, HOUR))
    assert value(db, "SELECT count(*) FROM ml_metrics_1m") == 0
    assert {row["bucket"].astimezone(UTC).minute for row in by_hour(db)} == {0}


def test_on_an_empty_log_there_are_no_rows(db):
    assert by_minute(db) == by_hour(db) == []
    db.execute("SELECT ml.roll_up()")
    assert by_minute(db) == by_hour(db) == []


def test_buckets_are_those_that_start_within_the_bounds(db):
    log(db, [prediction(START + timedelta(seconds=s)) for s in (0, 59, 60, 119, 120)])
    assert [row["predictions"] for row in by_minute(db, START, START + 2 * MINUTE)] == [2, 2]
    # A bound within a minute: the first minute that starts after it.
    assert [row["bucket"] for row in by_minute(db, START + timedelta(seconds=1), START + timedelta(seconds=61))] == [
        START + MINUTE
    ]
    assert by_minute(db, START + 2 * MINUTE, START) == []
    assert len(by_minute(db, datetime(1, 1, 1, tzinfo=UTC), None)) == 3
    assert len(rows(db, "SELECT * FROM ml.metrics_by_minute('-infinity', 'infinity')")) == 3
    assert rows(db, "SELECT * FROM ml.metrics_by_hour('infinity', '-infinity')") == []


def test_the_target_is_the_setting(db):
    log(db, [prediction(START, latency_us=us) for us in (74_999, 75_000, 75_001, 2000)])
    assert by_minute(db)[0]["within_target"] == 3
    db.execute("UPDATE ml_settings SET latency_target_ms = 2")
    assert by_minute(db)[0]["within_target"] == 1


# ------------------------------------------------------------------------------------------------- rolling up


def roll_up(db, at, **options):
    return value(db, "SELECT ml.roll_up(%s, %s)", at, options.get("limit", 20_000))


def settle(db, at):
    """Roll up until all that is over is final: a server's own work, autovacuum for one, takes transaction ids too."""
    for _ in range(100):
        roll_up(db, at)
        if value(db, "SELECT final_until FROM ml_jobs WHERE job = 'roll_up'") >= at - timedelta(seconds=61):
            return
        time.sleep(0.05)
    raise AssertionError("no roll-up became final")


def stored(db, table="ml_metrics_1m"):
    return rows(db, f"SELECT * FROM {table}")


def test_what_is_rolled_up_is_what_was_counted(db):
    predictions = random_predictions(1500, START, timedelta(hours=3, minutes=20))
    log(db, predictions)
    end = START + timedelta(hours=4)
    settle(db, end + timedelta(seconds=1))
    report = roll_up(db, end + timedelta(seconds=1))
    assert (report["status"], report["left_minutes"]) == ("done", 0)
    assert_same(stored(db), summary(predictions, MINUTE))
    assert_same(stored(db, "ml_metrics_1h"), summary(predictions, HOUR))
    assert_same(by_minute(db), summary(predictions, MINUTE))
    assert_same(by_hour(db), summary(predictions, HOUR))
    # Readers take what is stored: the log is not counted for it any more.
    db.execute("TRUNCATE ml_predictions")
    assert_same(by_minute(db, START, end), summary(predictions, MINUTE))
    assert_same(by_hour(db, START, end), summary(predictions, HOUR))


def test_a_minute_is_rolled_up_when_it_is_over(db):
    log(db, [prediction(START + timedelta(seconds=s)) for s in (5, 65)])
    roll_up(db, START + timedelta(seconds=60))
    assert stored(db) == []
    settle(db, START + timedelta(seconds=61))
    assert [row["bucket"] for row in stored(db)] == [START]
    assert [row["predictions"] for row in by_minute(db)] == [1, 1]
    assert [row["predictions"] for row in by_hour(db)] == [2]


def test_an_open_transaction_is_waited_for_and_nothing_is_lost_or_counted_twice(db, db_url):
    log(db, [prediction(START)])
    roll_up(db, START + MINUTE + timedelta(seconds=1))
    with psycopg.connect(db_url) as slow:
        log(slow, [prediction(START + timedelta(seconds=90))])
        for minute in range(2, 8):
            at = START + minute * MINUTE
            log(db, [prediction(at - timedelta(seconds=20))])
            roll_up(db, at + timedelta(seconds=1))
            assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_minute(NULL, NULL)") == minute
            assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_hour(NULL, NULL)") == minute
        assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") < 7
        slow.commit()
        assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_minute(NULL, NULL)") == 8
    for minute in range(8, 11):
        settle(db, START + minute * MINUTE + timedelta(seconds=1))
        assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_minute(NULL, NULL)") == 8
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") == 8


def test_a_transaction_open_for_long_does_not_hold_up_the_rest_and_is_added_when_it_ends(db, db_url):
    log(db, [prediction(START)])
    roll_up(db, START + MINUTE + timedelta(seconds=1))
    total = "SELECT sum(predictions) FROM ml.metrics_by_{}(NULL, NULL)"
    with psycopg.connect(db_url) as slow:
        log(slow, [prediction(START + timedelta(seconds=90))])
        for minute in range(2, 150, 3):
            at = START + minute * MINUTE
            log(db, [prediction(at - timedelta(seconds=20))])
            roll_up(db, at + timedelta(seconds=1))
        # Readers count no more of the log than a quarter of an hour.
        until = value(db, "SELECT rolled_up_until FROM ml_jobs WHERE job = 'roll_up'")
        assert at - until == 15 * MINUTE
        assert value(db, total.format("minute")) == 51
        slow.commit()
    roll_up(db, at + MINUTE + timedelta(seconds=1))
    assert value(db, total.format("minute")) == value(db, total.format("hour")) == 52
    settle(db, at + 2 * MINUTE + timedelta(seconds=1))
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") == 52
    state = one(db, "SELECT * FROM ml_jobs WHERE job = 'roll_up'")
    assert state["final_until"] == state["rolled_up_until"] == at + 2 * MINUTE


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_of_the_whole_transaction_makes_nothing_final_that_it_does_not_see(db, db_url, level):
    now = datetime.now(UTC)
    log(db, [prediction(now - HOUR)])
    with psycopg.connect(db_url) as writer, psycopg.connect(db_url) as old:
        log(writer, [prediction(now - 3 * MINUTE)])
        old.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        old.execute("SELECT count(*) FROM ml_predictions")
        writer.commit()
        old.execute("SELECT ml.roll_up()")
        old.commit()
    assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_minute(NULL, NULL)") == 2
    settle(db, datetime.now(UTC))
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") == 2


def test_a_jump_ahead_is_made_up_for_in_bounded_calls_oldest_first(db):
    predictions = random_predictions(900, START, timedelta(days=3))
    log(db, predictions)
    at = START + timedelta(days=3, minutes=1)
    left = []
    for _ in range(50):
        report = roll_up(db, at, limit=100)
        assert report["rows"] <= 110
        left.append(report["left_minutes"])
        assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_hour(NULL, NULL)") == 900
        if not left[-1]:
            break
    assert left == sorted(left, reverse=True) and 8 <= len(left) <= 12
    settle(db, at)
    assert_same(stored(db), summary(predictions, MINUTE))


def test_what_is_too_old_for_minutes_goes_to_hours_at_once(db):
    db.execute("UPDATE ml_settings SET retention_metrics_1m = '1 day'")
    predictions = random_predictions(600, START, timedelta(days=4))
    log(db, predictions)
    at = START + timedelta(days=4, minutes=1)
    for _ in range(10):
        roll_up(db, at, limit=200)
    settle(db, at)
    recent = [p for p in predictions if p["predicted_at"] >= START + timedelta(days=3)]
    assert_same(stored(db), summary(recent, MINUTE))
    assert_same(stored(db, "ml_metrics_1h"), summary(predictions, HOUR))
    assert_same(by_minute(db), summary(predictions, MINUTE))
    assert_same(by_hour(db), summary(predictions, HOUR))


def test_an_imported_past_is_counted_by_hand(db):
    log(db, [prediction(START), prediction(START + 5 * HOUR)])
    settle(db, START + 7 * HOUR)
    log(db, [prediction(START), prediction(START + 90 * MINUTE), prediction(START + 90 * MINUTE, role="rule")])
    assert value(db, "SELECT ml.recompute_metrics(%s, %s)", START, START + 6 * HOUR) == 2
    assert value(db, "SELECT ml.recompute_metrics(%s, %s)", START, START + 6 * HOUR) == 0
    expected = {START: 2, START + HOUR: 2, START + 5 * HOUR: 1}
    for table in ("ml.metrics_by_hour(NULL, NULL)", "ml_metrics_1h"):
        found = rows(db, f"SELECT bucket, sum(predictions)::integer AS n FROM {table} GROUP BY bucket")
        assert {row["bucket"]: row["n"] for row in found} == expected
    # What has left the log stays counted.
    db.execute("DELETE FROM ml_predictions WHERE predicted_at = %s", (START,))
    assert value(db, "SELECT ml.recompute_metrics(%s, %s)", START, START + 6 * HOUR) == 0
    assert value(db, "SELECT sum(predictions) FROM ml.metrics_by_minute(NULL, NULL)") == 5


def test_after_a_move_to_another_server_ids_start_anew(db):
    log(db, [prediction(START)])
    settle(db, START + HOUR)
    db.execute("UPDATE ml_jobs SET checkpoint_xid = '9000000000' WHERE job = 'roll_up'")
    log(db, [prediction(START + HOUR + MINUTE)])
    settle(db, START + 3 * HOUR)
    assert value(db, "SELECT sum(predictions) FROM ml_metrics_1h") == 2


def test_two_roll_ups_at_once_do_the_work_once(db, db_url):
    log(db, [prediction(START)])
    with psycopg.connect(db_url) as other:
        other.execute("SELECT ml.roll_up(%s)", (START + HOUR,))
        assert roll_up(db, START + HOUR)["status"] == "skipped"
    with pytest.raises(psycopg.Error, match="p_limit is 0: it must be at least 1"):
        roll_up(db, START + 2 * HOUR, limit=0)


# --------------------------------------------------------------------------------- what others put into the log


def log_external(db, versions, at):
    """Predictions from elsewhere, under any names."""
    db.execute("SELECT ml.create_prediction_partitions(%s, 0)", (at,))
    db.execute(
        "INSERT INTO ml_predictions (event_id, predicted_at, source, role, model_version, ml_confidence, latency_us)"
        " SELECT gen_random_uuid(), %s, 'external', 'champion', version, 0.5, -7 FROM unnest(%s::text[]) AS version",
        (at, versions),
    )


def test_made_up_versions_of_any_length_are_one_row_and_stop_neither_roll_up_nor_retention(db):
    now = datetime.now(UTC)
    old = now - timedelta(days=200)
    # Random text: a long version of one letter would be compressed to what an index takes.
    long = value(db, "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 375) AS n")
    versions = [long, "", "toy", None, *(f"made up {n}" for n in range(2000))]
    log(db, [prediction(old)])
    for at in (old, now - HOUR):
        log_external(db, versions, at)
    assert len(long) == 12_000
    found = rows(db, "SELECT * FROM ml.metrics_by_hour(NULL, NULL) WHERE source = 'external'")
    settle(db, now)
    expected = {"unregistered": 2 * 2002, "toy": 2, "": 2}
    kept = rows(db, "SELECT * FROM ml_metrics_1h WHERE source = 'external' AND bucket < %s", now - timedelta(days=100))
    minutes = rows(db, "SELECT * FROM ml_metrics_1m WHERE source = 'external'")
    assert len(found) == 6 and len(kept) == len(minutes) == 3
    for counted in (found, kept + minutes):
        totals = {}
        for row in counted:
            totals[row["model_version"]] = totals.get(row["model_version"], 0) + row["predictions"]
            assert (row["timed"], row["latency_sum_us"], row["latency_histogram"]) == (0, 0, [])
        assert totals == expected
    assert value(db, "SELECT ml.apply_retention()")["status"] == "done"
    assert value(db, "SELECT min(predicted_at) FROM ml_predictions") > old


def test_the_past_before_the_first_roll_up_is_counted_by_hand(db):
    """Imported later, long ago: before all that is rolled up, and before the minutes that are kept."""
    end = START + timedelta(days=60)
    log(db, [prediction(end - HOUR)])
    settle(db, end + 2 * MINUTE)
    imported = random_predictions(400, START, timedelta(days=59))
    log(db, imported)
    before = stored(db, "ml_metrics_1h")
    assert value(db, "SELECT ml.recompute_metrics('-infinity', 'infinity')") > 0
    expected = summary([*imported, *before_predictions(db, end - HOUR)], HOUR)
    assert len(before) == 1
    assert_same(stored(db, "ml_metrics_1h"), expected)
    assert_same(by_hour(db), expected)
    total = "SELECT sum(predictions) FROM ml.metrics_by_{}(NULL, NULL)"
    assert value(db, total.format("minute")) == value(db, total.format("hour")) == 401
    assert value(db, "SELECT ml.recompute_metrics('-infinity', 'infinity')") == 0
    # Bounds within an hour take in the whole hour.
    log(db, [prediction(START + timedelta(minutes=5))])
    at = START + timedelta(minutes=30)
    assert value(db, "SELECT ml.recompute_metrics(%s, %s)", at, at + MINUTE) == 1
    assert value(db, total.format("minute")) == value(db, total.format("hour")) == 402


def before_predictions(db, at):
    """Return what the log holds at a time, as it was given."""
    return [dict(row) for row in rows(db, "SELECT * FROM ml_predictions WHERE predicted_at = %s", at)]


# ------------------------------------------------------------------------------------------ locks, other databases


def test_an_advisory_lock_of_anybody_stops_nothing(db, db_url):
    log(db, [prediction(START)])
    with psycopg.connect(db_url) as other:
        for job in ("roll_up", "evaluate_alerts", "tick", "nightly", "apply_retention", "run_performance"):
            other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"ml.{job}",))
        for name in ("ml.create_prediction_partitions", "pattern-confidence drift"):
            other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (name,))
        report = value(db, "SELECT ml.nightly(%s)", START + HOUR)
        assert report["failed"] == []
        assert "skipped" not in {step["status"] for step in report["steps"].values()}
        assert roll_up(db, START + 2 * HOUR)["status"] == "done"


def test_a_lock_whose_row_is_gone_is_made_again(db):
    db.execute("DELETE FROM ml.job_locks")
    for _ in range(2):
        assert value(db, "SELECT ml.lock_job('tick')")
    assert value(db, "SELECT count(*) FROM ml.job_locks") == 1


def test_a_transaction_of_another_database_holds_up_nothing(db, db_url, empty_db_url):
    log(db, [prediction(START)])
    settle(db, START + HOUR)
    with psycopg.connect(empty_db_url) as elsewhere, psycopg.connect(empty_db_url) as later:
        elsewhere.execute("SELECT pg_current_xact_id()")
        # Ids of before and after another one that has ended: named by the snapshot, and beyond it.
        db.execute("SELECT pg_current_xact_id()")
        later.execute("SELECT pg_current_xact_id()")
        log(db, [prediction(START + HOUR)])
        settle(db, START + 2 * HOUR)
        assert value(db, "SELECT sum(predictions) FROM ml_metrics_1m") == 2
        with psycopg.connect(db_url) as here:
            here.execute("SELECT pg_current_xact_id()")
            for minutes in (1, 2, 3):
                roll_up(db, START + 2 * HOUR + minutes * MINUTE)
            state = one(db, "SELECT * FROM ml_jobs WHERE job = 'roll_up'")
            assert state["final_until"] < START + 2 * HOUR + 2 * MINUTE
