"""Figures of live scoring: each against a plain count of the log, at any window, rolled up or not."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import add_bars, go_live, insert_event, rows, value

NOW = datetime(2026, 3, 31, 12, 0, 30, tzinfo=UTC)
KEYS = {
    "inference_latency_p50", "inference_latency_p95", "inference_latency_p99", "cache_hit_rate", "ml_usage_rate",
    "fallback_rate", "error_rate", "sla_compliance", "predictions", "attempted",
}  # fmt: skip


def log(db, entries):
    """Write predictions; each entry gives the columns that are not as most are."""
    usual = {
        "source": "insert", "role": "champion", "model_version": "v0002", "latency_us": 1000, "cold": False,
        "cache_hit": False, "fallback_reason": None, "error_sqlstate": None,
    }  # fmt: skip
    given_rows = [{**usual, **entry} for entry in entries]
    with db.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ml_predictions (event_id, predicted_at, source, role, model_version, latency_us, cold, cache_hit,"
            " fallback_reason, error_sqlstate) VALUES (gen_random_uuid(), %(at)s, %(source)s, %(role)s, %(model_version)s,"
            " %(latency_us)s, %(cold)s, %(cache_hit)s, %(fallback_reason)s, %(error_sqlstate)s)",
            given_rows,
        )
    return given_rows


def partitions(db, start=NOW - timedelta(days=400), weeks=70):
    """Make partitions for the past."""
    db.execute("SELECT ml.create_prediction_partitions(%s, %s)", (start, weeks))


def metrics(db, window="1 hour", buckets=60, at=NOW):
    """Call ml_metrics at a time."""
    return value(db, "SELECT ml_metrics(%s, %s, %s)", window, buckets, at)


def counted(entries):
    """Count the rates of some predictions in plain Python."""
    live = [row for row in entries if row["source"] in ("insert", "update") and row["role"] != "shadow"]
    attempted = [row for row in live if row["role"] != "rule"]
    rescored = [row for row in attempted if row["source"] == "update"]
    latencies = [row["latency_us"] for row in attempted if row["latency_us"] is not None]

    def rate(part, whole):
        return len(part) / len(whole) if whole else None

    return {
        "predictions": len(live),
        "attempted": len(attempted),
        "ml_usage_rate": rate([row for row in attempted if row["fallback_reason"] is None], live),
        "fallback_rate": rate([row for row in attempted if row["fallback_reason"]], attempted),
        "error_rate": rate([row for row in live if row["error_sqlstate"]], attempted),
        "cache_hit_rate": rate([row for row in rescored if row["cache_hit"]], rescored)
        if len(rescored) >= 20
        else None,
        "sla_compliance": rate([value for value in latencies if value <= 75_000], latencies),
        "inference_latency_mean": sum(latencies) / len(latencies) / 1000 if latencies else None,
    }


def same(found, expected):
    """Compare figures by key."""
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_an_empty_database_has_every_bucket_and_no_rate(db):
    found = value(db, "SELECT ml_metrics()")
    assert found["current"].keys() >= KEYS
    assert found["current"]["predictions"] == 0
    assert found["current"]["inference_latency_p50"] is None
    assert (found["buckets"], len(found["history"]), found["unit"]) == (60, 60, "ms")
    assert all(entry["fallback_rate"] is None for entry in found["history"])
    assert {name: target["met"] for name, target in found["targets"].items()} == {
        "inference_latency_p95": None, "fallback_rate": None, "error_rate": None, "cache_hit_rate": None,
        "critical_alerts": None,
    }  # fmt: skip


def test_a_scored_event_shows_at_once(db):
    add_bars(db)
    go_live(db)
    insert_event(db)
    found = value(db, "SELECT ml_metrics()")
    assert found["current"]["predictions"] == found["current"]["attempted"] == found["history"][-1]["predictions"] == 1
    assert found["current"]["ml_usage_rate"] == found["current"]["sla_compliance"] == 1
    assert 0 < found["current"]["inference_latency_p50"] < 10_000
    assert found["history"][-1]["inference_latency_p50"] == found["current"]["inference_latency_p50"]


predictions_of_an_hour = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(0, 3540).map(lambda second: NOW - timedelta(seconds=second)),
            "source": st.sampled_from(["insert", "update", "update", "backfill", "external"]),
            "role": st.sampled_from(["champion", "challenger", "shadow", "rule"]),
            "latency_us": st.none() | st.integers(1, 200_000),
            "cold": st.booleans(),
            "cache_hit": st.booleans(),
            "fallback_reason": st.sampled_from([None, None, "error", "bar_missing", "disabled"]),
            "error_sqlstate": st.sampled_from([None, None, "22012"]),
        }
    ),
    max_size=80,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=predictions_of_an_hour, rolled_up=st.booleans(), buckets=st.sampled_from([1, 7, 60]))
def test_figures_equal_a_plain_count(db, entries, rolled_up, buckets):
    partitions(db, NOW - timedelta(days=1), 2)
    with db.transaction(force_rollback=True):
        stored = log(db, entries)
        if rolled_up:
            db.execute("SELECT ml.roll_up(%s)", (NOW,))
        found = metrics(db, buckets=buckets)
        same(found["current"], counted(stored))
        width = timedelta(seconds=found["bucket_seconds"])
        assert len(found["history"]) == found["buckets"]
        for entry in found["history"]:
            start = datetime.fromisoformat(entry["time"])
            same(entry, counted([row for row in stored if start <= row["at"] < start + width]))
        health = value(db, "SELECT ml_health('1 hour', %s)", NOW)
        for key in ("predictions", "attempted", "ml_usage_rate", "fallback_rate", "error_rate", "sla_compliance"):
            assert health[key] == found["current"][key]


@pytest.mark.parametrize("rolled_up", [False, True], ids=["counted from the log", "rolled up"])
def test_percentiles_are_within_twelve_percent(db, rolled_up):
    partitions(db, NOW - timedelta(days=1), 2)
    latencies = np.random.default_rng(4).lognormal(7, 1.2, 500).astype(int) + 1
    log(db, [{"at": NOW - timedelta(seconds=int(i * 7)), "latency_us": int(us)} for i, us in enumerate(latencies)])
    # First calls of a session are kept apart.
    log(db, [{"at": NOW, "latency_us": 900_000, "cold": True}] * 60)
    if rolled_up:
        db.execute("SELECT ml.roll_up(%s)", (NOW,))
    found = metrics(db)["current"]
    for name, fraction in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = np.quantile(latencies, fraction, method="inverted_cdf") / 1000
        assert found[f"inference_latency_{name}"] == pytest.approx(exact, rel=0.12)
    assert found["cold_calls"] == 60


def test_without_a_warm_call_first_calls_are_what_is_known(db):
    partitions(db, NOW - timedelta(days=1), 2)
    log(db, [{"at": NOW, "latency_us": 40_000, "cold": True}])
    assert metrics(db)["current"]["inference_latency_p95"] == pytest.approx(40, rel=0.12)


@pytest.mark.parametrize(
    ("window", "buckets", "expected_buckets", "seconds"),
    [
        ("1 minute", 60, 1, 60), ("90 seconds", 60, 2, 60), ("1 hour", 1000, 60, 60), ("1 hour", 7, 7, 540),
        ("1 day", 60, 60, 1440), ("2 days", 60, 60, 2880), ("7 days", 60, 56, 10800), ("1 month", 60, 58, 46800),
        ("1 year", 60, 60, 525600), ("1 year", 1000, 974, 32400),
    ],
)  # fmt: skip
def test_any_window_has_whole_buckets(db, window, buckets, expected_buckets, seconds):
    found = metrics(db, window, buckets)
    assert (found["buckets"], found["bucket_seconds"]) == (expected_buckets, seconds)
    times = [datetime.fromisoformat(entry["time"]) for entry in found["history"]]
    assert {later - earlier for earlier, later in pairwise(times)} <= {timedelta(seconds=seconds)}
    end = times[-1] + timedelta(seconds=seconds)
    assert NOW <= end < NOW + timedelta(hours=1)


@pytest.mark.parametrize("rolled_up", [False, True], ids=["counted from the log", "rolled up"])
@pytest.mark.parametrize("window", ["1 day", "7 days", "1 month", "1 year"])
def test_long_windows_read_what_is_stored(db, window, rolled_up):
    partitions(db)
    hours = np.random.default_rng(1).integers(0, 24 * 390, 400)
    stored = log(
        db,
        [
            {"at": NOW - timedelta(hours=int(hour), minutes=7), "latency_us": 1000 + int(hour), "role": role, "source": source}
            for hour, role, source in zip(
                hours, ["champion", "shadow", "rule", "challenger"] * 100, ["insert", "update", "backfill", "update"] * 100,
                strict=True,
            )
        ],
    )  # fmt: skip
    if rolled_up:
        for _ in range(3):
            db.execute("SELECT ml.roll_up(%s)", (NOW,))
        # Only what is not rolled up yet is counted from the log.
        log(db, [{"at": NOW - timedelta(hours=30)}])
        assert value(db, "SELECT count(*) FROM ml_metrics_1h") > 0
    found = metrics(db, window)
    start = datetime.fromisoformat(found["from"])
    expected = counted([row for row in stored if start <= row["at"] <= NOW])
    if not rolled_up:
        same(found["current"], expected)
    else:
        assert found["current"]["predictions"] == expected["predictions"]
    assert sum(entry["predictions"] for entry in found["history"]) == found["current"]["predictions"]


def test_stale_roll_ups_are_completed_from_the_log(db):
    partitions(db, NOW - timedelta(days=5), 3)
    stored = log(db, [{"at": NOW - timedelta(hours=hour)} for hour in range(96)])
    db.execute("SELECT ml.roll_up(%s)", (NOW - timedelta(days=2),))
    stored += log(db, [{"at": NOW - timedelta(minutes=minute), "fallback_reason": "error"} for minute in range(50)])
    for window in ("1 hour", "1 day", "5 days"):
        found = metrics(db, window)
        start = datetime.fromisoformat(found["from"])
        same(found["current"], counted([row for row in stored if row["at"] >= start]))


def test_targets_say_what_is_met(db):
    partitions(db, NOW - timedelta(days=1), 2)
    good = [{"at": NOW - timedelta(minutes=20)}] * 40
    bad = [
        {"at": NOW - timedelta(minutes=5), "latency_us": 90_000, "fallback_reason": "error", "error_sqlstate": "22012"}
    ] * 20
    log(db, good + bad)
    targets = metrics(db)["targets"]
    assert targets["error_rate"] == {
        "target": 0.05, "comparison": "<=", "value": pytest.approx(1 / 3), "met": False, "buckets_judged": 2, "buckets_met": 1,
    }  # fmt: skip
    assert targets["fallback_rate"]["met"] is False
    assert (targets["inference_latency_p95"]["met"], targets["inference_latency_p95"]["buckets_met"]) == (False, 1)
    # Fewer than 20 re-scorings are no rate.
    assert targets["cache_hit_rate"]["met"] is None
    log(db, [{"at": NOW - timedelta(minutes=20), "source": "update", "cache_hit": True}] * 20)
    assert metrics(db)["targets"]["cache_hit_rate"]["met"] is True
    db.execute("UPDATE ml_settings SET latency_target_ms = 200")
    assert metrics(db)["targets"]["inference_latency_p95"]["met"] is True


def test_critical_alerts_are_counted_where_alerts_are_evaluated(db):
    add = (
        "INSERT INTO ml_alert_transitions (occurred_at, rule, key, severity, from_state, to_state, cause)"
        " VALUES (%s, %s, '', %s, 'pending', 'firing', 'breached')"
    )
    db.execute(add, (NOW - timedelta(minutes=30), "model_not_loaded", "critical"))
    db.execute(add, (NOW - timedelta(minutes=30), "fallback_high", "warning"))
    assert metrics(db)["targets"]["critical_alerts"]["met"] is None
    db.execute("INSERT INTO ml_jobs (job, finished_at) VALUES ('tick', now())")
    assert metrics(db)["targets"]["critical_alerts"]["value"] == 1
    assert metrics(db, "10 minutes")["targets"]["critical_alerts"]["met"] is True


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("p_window => '-1 hour'", r"p_window is -01:00:00: give a time between a minute and ten years"),
        ("p_window => '0'", "p_window is 00:00:00"),
        ("p_window => NULL", "p_window is NULL"),
        ("p_window => '100 years'", "p_window is 100 years"),
        ("p_buckets => 0", "p_buckets is 0: give a number from 1 to 1000"),
        ("p_buckets => NULL", "p_buckets is NULL"),
        ("p_buckets => 1001", "p_buckets is 1001"),
        ("p_at => 'infinity'", "p_at is infinity: give a time"),
    ],
)
def test_arguments_that_make_no_sense_are_said(db, arguments, sentence):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=sentence):
        db.execute(f"SELECT ml_metrics({arguments})".encode())


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_nothing_depends_on_the_session(db, zone):
    partitions(db, NOW - timedelta(days=40), 8)
    log(db, [{"at": NOW - timedelta(hours=hour)} for hour in range(0, 900, 7)])
    expected = [metrics(db, window) for window in ("1 hour", "1 month")]
    db.execute(f"SET TimeZone = '{zone}'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601'".encode())
    found = [value(db, "SELECT ml_metrics(%s, 60, %s)", window, NOW) for window in ("1 hour", "1 month")]
    for one_found, one_expected in zip(found, expected, strict=True):
        one_found.pop("window"), one_expected.pop("window")
        assert one_found == one_expected


def test_endpoints_take_named_arguments_as_text_in_a_read_only_transaction(db):
    """The way PostgREST calls a function by GET: read only, as the role of the request, arguments by name."""
    add_bars(db)
    go_live(db)
    insert_event(db)
    for function, arguments in (
        ("ml_metrics", {"p_window": "2 hours", "p_buckets": "12"}),
        ("ml_metrics", {"p_at": "2026-03-31T12:00:00Z"}),
        ("ml_health", {"p_window": "1 day"}),
        ("ml_health", {}),
    ):
        with db.transaction():
            db.execute("SET TRANSACTION READ ONLY")
            db.execute("SET LOCAL ROLE ml_dashboard")
            # From JSON, each argument gets the type that the function declares.
            names = ", ".join(f"{name} => a.{name}" for name in arguments)
            types = ", ".join(f"{name} {TYPES[name]}" for name in arguments)
            source = f"FROM json_to_record(%s) AS a({types})" if arguments else "WHERE %s::json IS NOT NULL"
            found = value(db, f"SELECT public.{function}({names}) {source}", json.dumps(arguments))
            assert found["checked_at"]
    assert rows(
        db,
        "SELECT proname FROM pg_proc WHERE proname IN ('ml_metrics', 'ml_health') AND (provolatile <> 's' OR NOT prosecdef)",
    ) == []  # fmt: skip


TYPES = {"p_window": "interval", "p_buckets": "integer", "p_at": "timestamptz"}
