"""Rules, states and values of alerts, what is told of them, and what happens when something is wrong."""

import json
import random
from datetime import UTC, datetime, timedelta
from threading import Thread

import numpy as np
import psycopg
import pytest
from alert_model import RATES, RULES, AlertModel, Call, Transition, World, wilson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prediction_log import log, prediction
from statsmodels.stats.proportion import proportion_confint
from support import add_bars, go_live, insert_event, one, rows, value

MINUTE = timedelta(minutes=1)
NOON = datetime(2030, 3, 5, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def partitions(db):
    """Weeks for predictions of 2030."""
    db.execute("SELECT ml.create_prediction_partitions('2030-03-01+00', 4)")


def calls(minutes, per_minute=40, start=NOON, share=1.0, **columns):
    """Predictions in each minute before ``start`` + minutes; ``columns`` for a share of them."""
    return [
        prediction(
            start + minute * MINUTE + timedelta(seconds=60 * number / per_minute),
            **(columns if number < share * per_minute else {}),
        )
        for minute in range(minutes)
        for number in range(per_minute)
    ]


FALLBACK = {"fallback_reason": "bar_missing"}
ERROR = {"fallback_reason": "error", "error_sqlstate": "22012"}


def evaluate(db, time):
    return value(db, "SELECT ml.evaluate_alerts(%s)", time)


def alerts(db, time=None):
    return value(db, "SELECT ml_alerts(%s)", time)


def firing(db):
    return [row["rule"] for row in rows(db, "SELECT rule FROM ml_alerts WHERE state = 'firing' ORDER BY rule")]


def outbox(db):
    return rows(db, "SELECT * FROM ml_notifications ORDER BY id")


# ----------------------------------------------------------------------------------------------------- states


@given(
    minutes=st.sampled_from([0, 1, 2, 3, 5, 10]),
    # Spells of one verdict, minute by minute, each after some minutes that nobody evaluated.
    spells=st.lists(
        st.tuples(
            st.sampled_from([True, True, False, None]),
            st.integers(1, 12),
            st.sampled_from([1, 1, 1, 2, 5, 6, 7, 10, 11, 20, 21, 22, 59, 60, 61, 700]),
        ),
        min_size=2,
        max_size=12,
    ),
)
# As long without a judgement as is waited for, and a minute longer.
@example(minutes=3, spells=[(True, 1, 1), (True, 2, 6)])
@example(minutes=3, spells=[(True, 1, 1), (True, 2, 7)])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_are_those_of_the_model(db, minutes, spells):
    steps = [(gap if number == 0 else 1, verdict) for verdict, length, gap in spells for number in range(length)]
    model = AlertModel([], World().observe)
    rule = RULES["health_critical"]
    model.rules = {"health_critical": type(rule)(**{**vars(rule), "minutes": minutes})}
    times, time = [], NOON
    for step, _ in steps:
        time += step * MINUTE
        times.append(time)
    found = db.execute(
        """
        WITH RECURSIVE rule AS (
            SELECT jsonb_populate_record(r, jsonb_build_object('for_duration', %s::text)) AS rule
            FROM ml_alert_rules AS r WHERE r.rule = 'health_critical'
        ), given AS (
            SELECT * FROM unnest(%s::timestamptz[], %s::boolean[]) WITH ORDINALITY AS g (at, breached, n)
        ), walk AS (
            SELECT 0::bigint AS n, jsonb_populate_record(NULL::ml_alerts, '{"state": "normal", "breached_minutes": 0}') AS alert
            UNION ALL
            SELECT g.n, ml.next_alert_state(w.alert, rule.rule, g.at, g.breached)
            FROM walk AS w JOIN given AS g ON g.n = w.n + 1 CROSS JOIN rule
        )
        SELECT (alert).state FROM walk ORDER BY n
        """,
        (f"{minutes} minutes", times, [breached for _, breached in steps]),
    ).fetchall()
    states = ["normal"]
    for time, (_, breached) in zip(times, steps, strict=True):
        for change in model._advance("health_critical", "", time, breached):
            assert isinstance(change, Transition)
        states.append(model.alerts["health_critical", ""].state)
    assert [state for (state,) in found] == states


# ----------------------------------------------------------------------------------------------------- values


@given(data=st.data(), threshold=st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.6, 1.0]))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shares_are_judged_by_wilsons_interval(db, data, threshold):
    total = data.draw(st.integers(1, 120))
    failed = data.draw(st.integers(0, total))
    db.execute("TRUNCATE ml_predictions")
    log(db, [prediction(NOON, **(ERROR if number < failed else {})) for number in range(total)])
    db.execute(
        "UPDATE ml_alert_rules SET threshold_setting = NULL, threshold = %s WHERE metric = 'error_rate'", (threshold,)
    )
    found = one(db, "SELECT * FROM ml.alert_values(%s) WHERE rule = 'error_high'", NOON + MINUTE)
    low, _ = proportion_confint(failed, total, method="wilson")
    assert (found["observations"], found["threshold"]) == (total, threshold)
    assert found["value"] == pytest.approx(failed / total, abs=1e-15)
    assert found["breached"] is (None if total < 20 else bool(low > threshold + 1e-12))
    if found["bound"] is not None:
        assert found["bound"] == pytest.approx(low, abs=1e-12)
    assert wilson(failed, total)[0] == pytest.approx(low, abs=1e-12)


@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_95th_percentile_is_above_when_surely_more_than_5_percent_are_slower(db, data):
    total = data.draw(st.integers(20, 200))
    slow = data.draw(st.integers(0, total))
    db.execute("TRUNCATE ml_predictions")
    latencies = [150_000] * slow + [5_000] * (total - slow)
    cold = [prediction(NOON, latency_us=9_000_000, cold=True)] * 50  # first calls of a session are no measure
    log(db, [prediction(NOON, latency_us=latency) for latency in latencies] + cold)
    found = one(db, "SELECT * FROM ml.alert_values(%s) WHERE rule = 'inference_latency_high'", NOON + MINUTE)
    low, _ = proportion_confint(slow, total, method="wilson")
    assert (found["observations"], found["breached"]) == (total, bool(low > 0.05))
    assert found["value"] == pytest.approx(np.percentile(latencies, 95, method="inverted_cdf") / 1000, rel=0.12)


def test_a_low_share_is_judged_by_the_upper_bound(db):
    hit = {"source": "update", "cache_hit": True}
    miss = {"source": "update", "cache_hit": False}
    for hits, breached in ((10, True), (20, False), (12, True)):
        db.execute("TRUNCATE ml_predictions")
        log(db, [prediction(NOON, **(hit if number < hits else miss)) for number in range(40)])
        found = one(db, "SELECT * FROM ml.alert_values(%s) WHERE rule = 'cache_hit_low'", NOON + MINUTE)
        _, high = proportion_confint(hits, 40, method="wilson")
        assert (found["breached"], bool(high < 0.6)) == (breached, breached)
        assert found["bound"] == pytest.approx(high)


# ------------------------------------------------------------------------------------------- ml_alerts, read-only


def test_an_empty_database_has_no_alerts(db):
    for _ in range(2):
        found = alerts(db)
        assert (found["alerts"], found["count"], found["pending"], found["errors"]) == ([], 0, [], {})
        assert value(db, "SELECT ml_alerts() - '{checked_at,last_evaluated_at,computed,pending,errors}'::text[]") == {
            "alerts": [],
            "count": 0,
        }
        evaluate(db, datetime.now(UTC))
    assert rows(db, "SELECT * FROM ml_alert_transitions") == [] == outbox(db)


def test_it_can_be_read_in_a_read_only_transaction(db):
    assert value(db, "SELECT provolatile FROM pg_proc WHERE proname = 'ml_alerts'") == "s"
    with db.transaction():
        db.execute("SET TRANSACTION READ ONLY")
        assert alerts(db)["count"] == 0


def test_without_a_scheduler_it_says_what_would_fire(db):
    log(db, calls(12, **FALLBACK) + calls(12, 5, start=NOON - timedelta(hours=3), **ERROR))
    end = NOON + 12 * MINUTE
    found = alerts(db, end + timedelta(seconds=30))
    assert found["computed"] is True and found["last_evaluated_at"] is None
    assert {alert["rule"] for alert in found["alerts"]} == {"fallback_warning", "fallback_high", "fallback_high_hour"}
    assert found["count"] == 3
    high = next(alert for alert in found["alerts"] if alert["rule"] == "fallback_high")
    assert datetime.fromisoformat(high["since"]) == NOON + 10 * MINUTE
    assert (high["value"], high["threshold"], high["severity"], high["state"]) == (1.0, 0.2, "warning", "firing")
    assert high["summary"].startswith("The share of events that fall back") and "fallback_reasons" in high["runbook"]
    assert rows(db, "SELECT * FROM ml_alerts") == []

    # The same from the states that an evaluation writes; ten minutes later they are too old.
    evaluate(db, end)
    stored = alerts(db, end + timedelta(seconds=30))
    assert stored["computed"] is False
    assert stored["alerts"] == found["alerts"]
    assert alerts(db, end + 10 * MINUTE)["computed"] is False
    assert alerts(db, end + 11 * MINUTE)["computed"] is True
    assert alerts(db, end - MINUTE)["computed"] is True


def test_without_a_scheduler_a_critical_state_counts_at_once(db):
    db.execute("UPDATE ml_settings SET enabled = true")
    db.execute("DELETE FROM ml_aliases")
    found = alerts(db)
    assert [(alert["rule"], alert["severity"]) for alert in found["alerts"]] == [
        ("health_critical", "critical"), ("model_not_loaded", "critical"),
    ]  # fmt: skip
    assert "champion" in found["alerts"][0]["summary"]


def test_the_worst_come_first_and_those_that_are_about_to_fire_are_listed(db):
    log(db, calls(6, **ERROR))
    db.execute("UPDATE ml_settings SET enabled = true")
    db.execute("DELETE FROM ml_aliases")
    evaluate(db, NOON + 6 * MINUTE)
    found = alerts(db, NOON + 6 * MINUTE)
    assert [alert["rule"] for alert in found["alerts"]] == [
        "model_not_loaded",
        "error_high",
        "error_warning",
        "fallback_warning",
    ]
    assert [alert["rule"] for alert in found["pending"]] == [
        "health_critical", "error_high_hour", "fallback_high", "fallback_high_hour",
    ]  # fmt: skip
    assert found["pending"][0]["state"] == "pending" and found["pending"][0]["since"] is not None


# ------------------------------------------------------------------------------------------------ evaluation


def test_five_minutes_in_a_row_fire_and_four_do_not(db):
    log(
        db,
        calls(4, latency_us=150_000)
        + calls(8, start=NOON + 4 * MINUTE)
        + calls(9, start=NOON + 20 * MINUTE, latency_us=150_000),
    )
    for minute in range(1, 30):
        evaluate(db, NOON + minute * MINUTE)
    found = rows(db, "SELECT * FROM ml_alert_transitions WHERE rule = 'inference_latency_high' ORDER BY id")
    # Slow minutes are in the window of three for two more; the fifth judged minute fires only in the second spell.
    changes = [(round((row["occurred_at"] - NOON) / MINUTE), row["to_state"], row["cause"]) for row in found]
    assert changes == [
        (1, "pending", "breached"),
        (5, "firing", "breached"),
        (7, "resolved", "recovered"),
        (21, "pending", "breached"),
        (25, "firing", "breached"),
    ]
    state = one(db, "SELECT * FROM ml_alerts WHERE rule = 'inference_latency_high'")
    assert (state["pending_since"], state["firing_since"]) == (NOON + 21 * MINUTE, NOON + 25 * MINUTE)
    assert (state["state"], state["resolved_at"], state["breached_minutes"]) == ("firing", None, 9)


def test_the_job_of_every_minute_evaluates_what_it_has_rolled_up(db):
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)  # what is to come is not rolled up
    generator = random.Random(5)  # noqa: S311  a scenario, no secret
    logged = []
    for minute in range(45):
        share = {0: 0.0, 1: 0.6, 2: 0.12}[minute // 15]
        logged += calls(1, 30, start=start + minute * MINUTE, share=generator.uniform(0.5, 1.5) * share, **ERROR)
    log(db, logged)
    model = AlertModel(
        [Call(p["predicted_at"], p["fallback_reason"] is not None, p["error_sqlstate"] is not None, False, False, p["latency_us"], False) for p in logged],
        World().observe, {name: rule for name, rule in RULES.items() if rule.metric in RATES},
    )  # fmt: skip
    expected = []
    for minute in range(1, 46):
        expected += model.evaluate(start + minute * MINUTE)
        report = value(db, "SELECT ml.tick(%s)", start + minute * MINUTE + timedelta(seconds=2))
        assert report["status"] == "done" and report["steps"]["alerts"]["status"] == "done"
    names = "occurred_at", "rule", "key", "from_state", "to_state", "cause"
    found = [Transition(*(row[name] for name in names)) for row in rows(db, "SELECT * FROM ml_alert_transitions")]
    assert sorted(found) == sorted(expected) and len(expected) > 8
    assert value(db, "SELECT count(*) FROM ml_metrics_1m") > 30


def test_an_earlier_time_and_the_same_minute_do_nothing(db):
    assert evaluate(db, NOON)["status"] == "done"
    for time in (NOON, NOON + timedelta(seconds=59)):
        assert evaluate(db, time) == {"status": "skipped", "reason": "already evaluated for this minute"}
    db.execute("SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'")
    assert evaluate(db, NOON - timedelta(days=1)) == {
        "status": "skipped",
        "reason": "p_at 2030-03-04 12:00:00+00 is before the minute of the last evaluation, 2030-03-05 12:00:00+00",
    }
    assert evaluate(db, NOON + MINUTE)["minutes"] == 1
    db.execute("DELETE FROM ml_alerts")
    assert evaluate(db, NOON)["status"] == "done"


def full_minute():
    return datetime.now(UTC).replace(second=0, microsecond=0)


def test_an_evaluation_by_mistake_for_a_time_to_come_stops_nothing(db):
    now = full_minute() - 20 * MINUTE
    log(db, calls(40, start=now, **ERROR))
    for minute in range(1, 12):
        evaluate(db, now + minute * MINUTE)
    before = {
        "error_high",
        "error_high_hour",
        "error_warning",
        "fallback_high",
        "fallback_high_hour",
        "fallback_warning",
    }
    assert set(firing(db)) == before
    # Within the patience of the rules: nothing ends for want of data, and what begins there goes on without a new word.
    later = now + timedelta(days=900)
    evaluate(db, later)
    told = len(outbox(db))
    assert firing(db) == ["partition_missing"]
    assert "alerts were evaluated for" in str(value(db, "SELECT ml_health() -> 'problems'"))
    assert evaluate(db, later - MINUTE)["status"] == "skipped"  # to come as well: the same clock, a minute back

    report = evaluate(db, now + 12 * MINUTE)
    assert (report["status"], report["minutes"], report["minutes_left_out"]) == ("done", 1, 0)
    assert datetime.fromisoformat(report["mistaken_evaluation"]) == later.replace(second=0, microsecond=0)
    assert [row["rule"] for row in outbox(db)[told:]] == ["partition_missing"] * 2  # its end, and nothing else
    end = outbox(db)[-1]
    assert (end["transition"], end["firing_since"]) == ("resolved", now + 11 * MINUTE)
    times = one(
        db,
        "SELECT max(greatest(pending_since, firing_since, resolved_at, last_known_at, last_evaluated_at, notified_at)) AS t"
        " FROM ml_alerts",
    )
    assert times == {"t": now + 12 * MINUTE}
    assert "evaluated for" not in str(value(db, "SELECT ml_health() -> 'problems'"))
    for minute in range(13, 18):
        evaluate(db, now + minute * MINUTE)
    assert {"error_high", "error_warning", "fallback_warning"} <= set(firing(db))  # five minutes from there on


def test_what_fires_still_after_a_mistake_is_not_told_again(db):
    now = full_minute() - 20 * MINUTE
    db.execute("UPDATE ml_settings SET enabled = true; DELETE FROM ml_aliases")
    evaluate(db, now)
    evaluate(db, now + MINUTE)
    assert firing(db) == ["health_critical", "model_not_loaded"]
    evaluate(db, now + timedelta(days=900))
    told = [(row["rule"], row["transition"]) for row in outbox(db)]
    evaluate(db, now + 2 * MINUTE)
    assert firing(db) == ["health_critical", "model_not_loaded"]
    found = [(row["rule"], row["transition"]) for row in outbox(db)]
    assert found[len(told) :] == [("partition_missing", "resolved")] * 2
    assert found.count(("health_critical", "firing")) == 2  # once to each channel


def test_a_breach_that_was_seen_by_mistake_is_no_minute_of_two(db):
    now = full_minute() - 20 * MINUTE
    evaluate(db, now)
    evaluate(db, now + timedelta(days=900))
    assert one(db, "SELECT state FROM ml_alerts WHERE rule = 'health_critical'") == {"state": "pending"}
    db.execute("UPDATE ml_settings SET enabled = true; DELETE FROM ml_aliases")
    evaluate(db, now + MINUTE)
    assert "health_critical" not in firing(db)
    evaluate(db, now + 2 * MINUTE)
    assert "health_critical" in firing(db)


def test_what_only_a_time_to_come_shows_ends_for_want_of_data(db):
    now = full_minute() - 20 * MINUTE
    add_drift_run(db, now + timedelta(days=900))
    evaluate(db, now + timedelta(days=900))
    assert "feature_drift" in firing(db)
    for minute in range(1, 6):
        evaluate(db, now + minute * MINUTE)
    assert firing(db) == []
    assert (
        value(db, "SELECT cause FROM ml_alert_transitions WHERE rule = 'feature_drift' ORDER BY id DESC LIMIT 1")
        == "no_data"
    )


def test_what_fires_as_of_a_time_ahead_is_given_beside_what_fires_now(db):
    add_bars(db)
    go_live(db)
    log(db, calls(8, latency_us=150_000))  # in 2030
    evaluate(db, NOON)
    evaluate(db, NOON + 8 * MINUTE)
    db.execute("ALTER TABLE pattern_events DISABLE TRIGGER pattern_events_90_log_insert")
    said = alerts(db)
    assert {"inference_latency_high", "triggers_disabled"} <= {alert["rule"] for alert in said["alerts"]}
    assert said["count"] == len(said["alerts"]) == len({(a["rule"], a["key"]) for a in said["alerts"]})
    # Asked for a time of its own, it says nothing of another.
    now = value(db, "SELECT now()")
    assert "inference_latency_high" not in {alert["rule"] for alert in alerts(db, now)["alerts"]}


@pytest.mark.parametrize("job", ["tick", "nightly"])
def test_a_job_that_ran_for_a_time_to_come_is_missed_when_it_stops(db, job):
    now = datetime.now(UTC)
    db.execute(
        "INSERT INTO ml_jobs (job, last_run_at, finished_at) VALUES (%s, %s, %s)",
        (job, now + timedelta(days=900), now - timedelta(days=3)),
    )
    found = value(
        db, "SELECT value FROM ml.alert_values(%s) WHERE rule ~ %s", now, f"{job}|scheduler" if job == "tick" else job
    )
    assert found == pytest.approx(3 * 24 * 60)


def test_jobs_that_failed_are_an_alert(db):
    db.execute(
        "INSERT INTO ml_jobs (job, last_run_at) VALUES ('tick', %s), ('nightly', %s), ('roll_up', %s)", [NOON] * 3
    )
    assert value(db, "SELECT value FROM ml.alert_values(%s) WHERE rule = 'job_failed'", NOON) == 0
    db.execute("UPDATE ml_jobs SET last_error = 'labels: division by zero (22012)' WHERE job = 'nightly'")
    evaluate(db, NOON)
    evaluate(db, NOON + MINUTE)
    assert firing(db) == ["job_failed"]
    said = alerts(db, NOON + MINUTE)["alerts"][0]
    assert (said["severity"], said["value"]) == ("warning", 1)
    assert said["summary"].endswith(": nightly: labels: division by zero (22012)")
    db.execute("UPDATE ml_jobs SET last_error = NULL")
    evaluate(db, NOON + 2 * MINUTE)
    assert firing(db) == []


@pytest.mark.parametrize(
    "logged",
    [calls(30, per_minute=3, **ERROR), [p for at in (0, 15) for p in calls(1, 40, NOON + at * MINUTE, **ERROR)]],
    ids=["three a minute", "a burst at each bar"],
)
def test_little_traffic_and_bursts_are_seen_by_the_rules_of_an_hour(db, logged):
    log(db, logged)
    for minute in range(1, 31):
        evaluate(db, NOON + minute * MINUTE)
    # Bursts that fail one after the other are ten minutes in all, and what looks at five of them sees that as well.
    assert [rule for rule in firing(db) if rule != "fallback_high"] == ["error_high_hour", "fallback_high_hour"]
    first = value(db, "SELECT min(firing_since) FROM ml_alerts WHERE rule ~ '_hour$'")
    assert NOON + 10 * MINUTE <= first <= NOON + 12 * MINUTE


def test_four_failures_in_an_hour_are_not_judged(db):
    log(db, calls(4, per_minute=1, **ERROR))
    assert one(db, "SELECT value, observations, breached FROM ml.alert_values(%s) WHERE rule = 'error_high_hour'", NOON + 30 * MINUTE) == {
        "value": 1.0, "observations": 4, "breached": None,
    }  # fmt: skip


def test_a_jump_ahead_is_made_up_for_an_hour_at_most(db):
    log(db, calls(200, **FALLBACK))
    evaluate(db, NOON)
    report = evaluate(db, NOON + 200 * MINUTE)
    assert (report["minutes"], report["minutes_left_out"]) == (60, 140)
    first = one(db, "SELECT min(occurred_at) AS at FROM ml_alert_transitions")["at"]
    assert first == NOON + 141 * MINUTE
    assert firing(db) == ["fallback_high", "fallback_high_hour", "fallback_warning"]


def test_time_that_nobody_observed_fires_nothing(db):
    db.execute("UPDATE ml_settings SET enabled = true")
    evaluate(db, NOON)
    db.execute("DELETE FROM ml_aliases")
    evaluate(db, NOON + MINUTE)
    assert "health_critical" not in firing(db)
    evaluate(db, NOON + 300 * MINUTE)  # a second look, hours later: not two minutes in a row
    assert "health_critical" not in firing(db)
    evaluate(db, NOON + 301 * MINUTE)
    assert "health_critical" in firing(db)


@pytest.mark.parametrize("given", ["infinity", "-infinity", "4713-01-01 BC", "294276-12-31", None])
def test_what_is_no_time_is_refused(db, given):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_at must be a time"):
        db.execute("SELECT ml.evaluate_alerts(%s)", (given,))
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_at must be a time"):
        db.execute("SELECT * FROM ml.alert_values(%s)", (given,))
    if given:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="p_at must be a time"):
            db.execute("SELECT ml_alerts(%s)", (given,))


def test_a_second_evaluation_at_the_same_time_does_nothing(db, db_url):
    with psycopg.connect(db_url) as other:
        evaluate(other, NOON)
        assert evaluate(db, NOON)["reason"] == "another session is evaluating the alerts"
    assert evaluate(db, NOON)["status"] == "skipped"  # done by the other


def test_many_at_once_record_every_change_once(db, db_url):
    log(db, calls(12, **ERROR))
    reports = []

    def run():
        with psycopg.connect(db_url, autocommit=True) as own:
            reports.extend(evaluate(own, NOON + minute * MINUTE) for minute in range(1, 13))

    threads = [Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    evaluate(db, NOON + 12 * MINUTE)
    changes = one(db, "SELECT count(*) AS all, count(DISTINCT (rule, to_state)) AS different FROM ml_alert_transitions")
    assert changes["all"] == changes["different"] > 4
    sent = one(db, "SELECT count(*) AS all, count(DISTINCT (rule, channel)) AS different FROM ml_notifications")
    assert sent["all"] == sent["different"] > 4


def test_an_error_in_one_rule_does_not_stop_the_others(db):
    log(db, calls(6, **ERROR))
    db.execute("ALTER FUNCTION ml.feature_drift_score RENAME TO elsewhere")
    add_drift_run(db, NOON - timedelta(hours=1))
    report = evaluate(db, NOON + 6 * MINUTE)
    assert list(report["errors"]) == ["feature_drift"] and "feature_drift_score" in report["errors"]["feature_drift"]
    assert firing(db) == ["error_high", "error_warning", "fallback_warning"]
    assert "feature_drift_score" in alerts(db, NOON + 6 * MINUTE)["errors"]["feature_drift"]
    db.execute("ALTER FUNCTION ml.elsewhere RENAME TO feature_drift_score")
    assert evaluate(db, NOON + 7 * MINUTE)["errors"] == {}
    assert "feature_drift" in firing(db)

    db.execute("ALTER FUNCTION ml.metrics_by_minute RENAME TO elsewhere")
    report = evaluate(db, NOON + 8 * MINUTE)
    assert set(report["errors"]) == {name for name, rule in RULES.items() if rule.metric in RATES}
    assert {"error_high", "feature_drift"} <= set(firing(db))  # not knowing ends nothing at once


def test_a_health_check_that_fails_is_critical(db):
    db.execute("ALTER FUNCTION ml_health RENAME TO elsewhere")
    assert evaluate(db, NOON)["errors"] == {}
    evaluate(db, NOON + MINUTE)
    assert firing(db) == ["health_critical"]
    assert "ml_health" in alerts(db, NOON + MINUTE)["alerts"][0]["summary"]


def add_drift_run(db, time):
    baseline = value(
        db,
        "INSERT INTO ml_baselines (model_version, window_from, window_to, predictions, sources)"
        " VALUES ('v0002', '2030-01-01', '2030-02-01', 1000, '{insert}') RETURNING baseline_id",
    )
    db.execute(
        "INSERT INTO ml_drift (run_at, model_version, baseline_id, window_from, window_to, subject, feature, method, value,"
        " n_baseline, n_current, verdict, quality_verdict)"
        " VALUES (%s, 'v0002', %s, '2030-03-01', '2030-03-02', 'feature', 'rsi_14', 'jensen_shannon', 0.5, 900, 900, 'drift', 'ok')",
        (time, baseline),
    )


def test_without_settings_the_rules_that_need_them_say_so(db):
    db.execute("DELETE FROM ml_settings")
    report = evaluate(db, NOON)
    assert "INSERT INTO ml_settings DEFAULT VALUES" in report["errors"]["fallback_high"]
    assert "health_critical" not in report["errors"]


# -------------------------------------------------------------------------------------- what is told, and to whom


def test_a_firing_and_its_end_are_told_once(db, db_url):
    log(db, calls(6, **ERROR) + calls(10, start=NOON + 6 * MINUTE))
    with psycopg.connect(db_url, autocommit=True) as listener:
        listener.execute("LISTEN ml_alerts")
        for minute in range(1, 16):
            evaluate(db, NOON + minute * MINUTE)
        heard = [json.loads(notify.payload) for notify in listener.notifies(timeout=0.5)]
    found = rows(db, "SELECT * FROM ml_alert_transitions ORDER BY id")
    assert [(h["rule"], h["from"], h["to"]) for h in heard] == [
        (f["rule"], f["from_state"], f["to_state"]) for f in found
    ]
    sent = [(row["rule"], row["transition"], row["channel"]) for row in outbox(db)]
    assert sorted(set(sent)) == sorted(sent)
    assert {name for name in sent if name[0] == "error_high"} == {
        ("error_high", "firing", "pagerduty"), ("error_high", "firing", "webhook"),
        ("error_high", "resolved", "pagerduty"), ("error_high", "resolved", "webhook"),
    }  # fmt: skip
    # A warning that is not to page anybody goes to the webhook alone.
    assert {channel for rule, _, channel in sent if rule.endswith("_warning")} == {"webhook"}
    end = next(row for row in outbox(db) if row["transition"] == "resolved")
    assert end["payload"]["resolved_at"] is not None and end["payload"]["state"] == "resolved"
    assert end["firing_since"] == datetime.fromisoformat(end["payload"]["since"])


def test_a_silenced_rule_tells_nobody_until_the_silence_ends(db):
    until = datetime.now(UTC) + timedelta(days=3650)
    answer = value(db, "SELECT ml.silence_alert('error_high', %s, 'known, see the ticket')", until)
    assert answer["status"] == "success"
    log(db, calls(30, **ERROR))
    evaluate(db, NOON + 10 * MINUTE)
    assert "error_high" in firing(db)
    assert {row["rule"] for row in outbox(db)} == {
        "error_warning", "error_high_hour", "fallback_warning", "fallback_high", "fallback_high_hour",
    }  # fmt: skip
    silenced = next(alert for alert in alerts(db, NOON + 10 * MINUTE)["alerts"] if alert["rule"] == "error_high")
    assert datetime.fromisoformat(silenced["silenced_until"]) == until
    db.execute("SELECT ml.silence_alert('error_high', NULL)")
    evaluate(db, NOON + 11 * MINUTE)
    evaluate(db, NOON + 12 * MINUTE)
    told = [row for row in outbox(db) if row["rule"] == "error_high"]
    assert [(row["transition"], row["firing_since"]) for row in told] == [("firing", NOON + 5 * MINUTE)] * 2
    audit = rows(db, "SELECT reason, details FROM ml_deployments WHERE action = 'alert_rule' ORDER BY id")
    assert audit[0]["reason"] == "known, see the ticket" and audit[0]["details"]["rule"] == "error_high"
    assert audit[1]["details"]["new"]["silenced_until"] is None


def test_the_end_of_what_nobody_was_told_is_not_told(db):
    db.execute("UPDATE ml_alert_rules SET silenced_until = 'infinity'")
    log(db, calls(6, **ERROR) + calls(10, start=NOON + 6 * MINUTE))
    for minute in range(1, 16):
        evaluate(db, NOON + minute * MINUTE)
    assert rows(db, "SELECT FROM ml_alert_transitions WHERE to_state = 'resolved'") != []
    assert outbox(db) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense", "2040-01-01", "why"), "there is no alert rule 'nonsense': p_rule is one of breaker_open, "),
        ((None, "2040-01-01", "why"), "there is no alert rule NULL"),
        (("error_high", "2020-01-01", "why"), "which has passed"),
        (
            ("error_high", "infinity", "why"),
            "p_until is infinity: give a time, or UPDATE ml_alert_rules SET enabled = false",
        ),
        (("error_high", "2040-01-01", " "), "p_reason is empty"),
        (("error_high", "2040-01-01", None), "p_reason is empty"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(db, arguments, said):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=said):
        db.execute("SELECT ml.silence_alert(%s, %s, %s)", arguments)


@pytest.mark.parametrize("statement", ["UPDATE ml_alert_rules SET enabled = false", "DELETE FROM ml_alert_rules"])
def test_a_rule_that_is_switched_off_ends_its_alerts(db, statement):
    log(db, calls(6, **ERROR))
    evaluate(db, NOON + 6 * MINUTE)
    assert "error_high" in firing(db)
    db.execute(statement)
    evaluate(db, NOON + 7 * MINUTE)
    assert firing(db) == []
    causes = rows(db, "SELECT cause FROM ml_alert_transitions WHERE rule = 'error_high' AND to_state = 'resolved'")
    assert causes == [{"cause": "rule_disabled"}]
    ended = {(row["rule"], row["channel"]) for row in outbox(db) if row["transition"] == "resolved"}
    assert {("error_high", "pagerduty"), ("error_high", "webhook")} <= ended
    assert alerts(db, NOON + 7 * MINUTE)["count"] == 0
    evaluate(db, NOON + 8 * MINUTE)
    assert (
        "normal" in {row["state"] for row in rows(db, "SELECT state FROM ml_alerts")}
        or rows(db, "SELECT * FROM ml_alerts") == []
    )


def test_the_end_is_told_where_the_firing_was(db):
    log(db, calls(6, **ERROR) + calls(10, start=NOON + 6 * MINUTE))
    evaluate(db, NOON + 6 * MINUTE)
    db.execute("UPDATE ml_alert_rules SET channels = '{}', severity = 'info' WHERE rule = 'error_high'")
    evaluate(db, NOON + 15 * MINUTE)
    told = [(row["transition"], row["channel"], row["severity"]) for row in outbox(db) if row["rule"] == "error_high"]
    assert sorted(told) == [
        ("firing", "pagerduty", "warning"), ("firing", "webhook", "warning"),
        ("resolved", "pagerduty", "warning"), ("resolved", "webhook", "warning"),
    ]  # fmt: skip


def test_a_payload_stays_below_what_notify_takes(db, db_url):
    version = "v" * 3000
    db.execute(
        "INSERT INTO ml_performance (run_at, model_version, pattern_type, kind, metric, window_from, window_to, predictions,"
        " labelled, value, verdict) VALUES (%s, %s, '', 'realised', 'brier', '2030-01-01', '2030-02-01', 900, 900, 0.5, 'degraded')",
        (NOON - MINUTE, version),
    )
    assert evaluate(db, NOON)["errors"] == {}
    assert one(db, "SELECT length(key) AS n FROM ml_alerts WHERE state = 'firing'") == {"n": 3000}
    assert value(db, "SELECT payload ->> 'key' FROM ml_notifications LIMIT 1") == version


# --------------------------------------------------------------------------------------------------- rules as data


def test_thresholds_are_changed_by_update_and_audited(db):
    log(db, calls(6, share=0.3, **ERROR))
    db.execute("UPDATE ml_settings SET error_alert_rate = 0.9")
    db.execute("UPDATE ml_alert_rules SET threshold_setting = NULL, threshold = 0.8 WHERE rule = 'error_warning'")
    evaluate(db, NOON + 6 * MINUTE)
    assert not {"error_high", "error_warning"} & set(firing(db))
    audit = rows(
        db, "SELECT action, details FROM ml_deployments WHERE action IN ('settings', 'alert_rule') ORDER BY id"
    )
    assert [row["action"] for row in audit] == ["settings", "alert_rule"]
    assert audit[1]["details"]["old"]["threshold_setting"] == "error_warning_rate"
    assert audit[1]["details"]["new"]["threshold"] == 0.8
    db.execute(
        "SET intervalstyle = 'iso_8601'; UPDATE ml_alert_rules SET for_duration = '7 minutes' WHERE rule = 'error_high'"
    )
    details = value(db, "SELECT details FROM ml_deployments ORDER BY id DESC LIMIT 1")
    assert (details["old"]["for_duration"], details["new"]["for_duration"]) == ("00:05:00", "00:07:00")


def test_a_rule_of_ones_own(db):
    db.execute(
        "INSERT INTO ml_alert_rules (rule, severity, summary, metric, threshold, runbook, minimum_count, channels)"
        " VALUES ('half_falls_back', 'critical', 'Half of all events fall back.', 'fallback_rate', 0.5, 'Call the desk.', 20, '{pagerduty}')"
    )
    log(db, calls(1, **FALLBACK))
    evaluate(db, NOON + MINUTE)
    assert firing(db) == ["half_falls_back"]
    assert [(row["channel"], row["severity"]) for row in outbox(db)] == [("pagerduty", "critical")]
    assert outbox(db)[0]["payload"]["runbook"] == "Call the desk."


@pytest.mark.parametrize(
    "change",
    [
        "threshold = 'NaN', threshold_setting = NULL", "threshold = 'infinity', threshold_setting = NULL",
        "threshold = 0.5", "threshold_setting = NULL", "threshold_setting = 'enabled'", "threshold_setting = 'nonsense'",
        "severity = 'loud'", "comparison = '='", "metric = 'weather'", "for_duration = '-1 minute'", "for_duration = '2 days'",
        "evaluation_window = '0'", "minimum_count = 0", "channels = '{fax}'", "summary = ''", "rule = 'No spaces'",
    ],
)  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(db, change):
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute(f"UPDATE ml_alert_rules SET {change} WHERE rule = 'error_high'")


def test_history_is_append_only(db):
    log(db, calls(6, **ERROR))
    evaluate(db, NOON + 6 * MINUTE)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="never changed"):
        db.execute("UPDATE ml_alert_transitions SET cause = 'recovered'")


# --------------------------------------------------------------------------------------------- states of a database


def test_scored_events_without_a_log_row_are_a_gap(db):
    add_bars(db)
    go_live(db)

    def gap():
        found = rows(db, "SELECT value, breached FROM ml.alert_values(clock_timestamp()) WHERE rule = 'prediction_gap'")
        return found[0] if found else None

    assert gap()["breached"] is None  # a quiet night
    for _ in range(3):
        insert_event(db)
    assert gap() == {"value": 0, "breached": False}
    db.execute("ALTER TABLE pattern_events DISABLE TRIGGER pattern_events_90_log_insert")
    insert_event(db)
    assert gap() == {"value": 1, "breached": True}
    assert (
        value(db, "SELECT detail FROM ml.alert_values() WHERE rule = 'triggers_disabled'")
        == "pattern_events_90_log_insert"
    )
    assert alerts(db)["count"] == 2


def test_dropped_predictions_are_an_alert_and_a_gap(db):
    add_bars(db)
    go_live(db)
    for (name,) in db.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ml_predictions'::regclass"
    ).fetchall():
        db.execute(f"DROP TABLE {name}")
    insert_event(db)
    found = {alert["rule"]: alert for alert in alerts(db)["alerts"]}
    assert set(found) == {"health_critical", "log_drops", "partition_missing", "prediction_gap"}
    assert "no partition of relation" in found["log_drops"]["summary"]
    assert found["partition_missing"]["value"] == 0


def test_a_hole_between_partitions_is_seen_before_it_is_reached(db):
    def days():
        return value(db, "SELECT value FROM ml.alert_values('2030-03-05 12:00+00') WHERE rule = 'partition_missing'")

    assert days() == 26.5
    db.execute("DROP TABLE ml_predictions_2030w11")
    assert days() == 5.5
    db.execute("DROP TABLE ml_predictions_2030w10")
    assert days() == 0


def test_sessions_of_any_kind_see_the_same(db, db_url):
    log(db, calls(12, **FALLBACK))
    evaluate(db, NOON + 12 * MINUTE)
    expected = alerts(db, NOON + 12 * MINUTE), alerts(db, NOON + 12 * MINUTE + timedelta(hours=1))
    with psycopg.connect(db_url, autocommit=True) as other:
        for setting in (
            "timezone = 'Asia/Kathmandu'",
            "datestyle = 'SQL, DMY'",
            "intervalstyle = 'iso_8601'",
            "extra_float_digits = 0",
            "search_path = ''",
        ):
            other.execute(f"SET {setting}")
        for time, found in zip((NOON + 12 * MINUTE, NOON + 12 * MINUTE + timedelta(hours=1)), expected, strict=True):
            assert value(other, "SELECT public.ml_alerts(%s)", time) == found
