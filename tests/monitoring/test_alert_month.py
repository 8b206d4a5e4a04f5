"""A simulated month of live scoring with everything that goes wrong: the timeline of alerts equals that of a second model.

All predictions of the month are in the log from the start; evaluations are called for times of the month, now every
minute, now after hours, some for a time that has been, some by mistake for one that is decades away. Run with ``-s`` to see the timeline.
"""

import json
import random
import sys
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from alert_model import RATES, RULES, AlertModel, Call, Transition, World
from prediction_log import COLUMNS, prediction
from support import one, rows, value

START = datetime(2024, 3, 1, tzinfo=UTC)  # clocks change on 10 March in New York and on 31 March in Europe
DAYS = 30
NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
CHAMPION = "v0002"
QUIET_DAYS = (23, 24)  # a Saturday and a Sunday


def market_minutes():
    """The minutes of regular trading in New York: 14:30 to 21:00 UTC, from 10 March on 13:30 to 20:00."""
    for day in range(DAYS):
        opening = datetime(2024, 3, 1, 9, 30, tzinfo=NEW_YORK) + timedelta(days=day)
        if opening.weekday() < 5:
            yield from (opening.astimezone(UTC) + minute * MINUTE for minute in range(390))


def incidents(generator, trading):
    """Minutes in which calls are slow, fall back, fail or miss the cache, with the share that does."""
    found = {}
    kinds = ("slow", "very slow", "fallback", "error", "no cache", "silence")
    for kind in kinds:
        for _ in range(8):
            first = trading[generator.randrange(len(trading) - 60)]
            length = generator.choice([3, 5, 6, 9, 12, 20, 45])
            share = generator.choice([0.08, 0.15, 0.3, 0.6, 1.0])
            for minute in range(length):
                found[first + minute * MINUTE, kind] = share
    for minute in range(25):  # long enough for the rule that waits longest, with the fewest observations
        found[trading[100] + minute * MINUTE, "no cache"] = 0.9
    for minute in range(3):  # almost long enough for the rule that waits longest
        found[at(7, "16:30") + minute * MINUTE, "fallback"] = 1.0
    return found


def calls_of_the_month(generator):
    """Rows of the log: live calls of trading hours, a trickle at other times, and rows that no rate may count."""
    trading = list(market_minutes())
    happening = incidents(generator, trading)
    busy = set(trading)
    found = []
    for offset in range(DAYS * 24 * 60):
        start = START + offset * MINUTE
        count = max(round(generator.gauss(12, 3.5)), 0) if start in busy else generator.random() < 0.02
        if (start, "silence") in happening or start.day in QUIET_DAYS:
            count = 0
        for _ in range(int(count)):
            at = start + timedelta(microseconds=generator.randrange(60_000_000))

            def hit(kind, start=start):
                return generator.random() < happening.get((start, kind), 0.0)

            rescoring = generator.random() < 0.5
            latency = generator.randrange(300, 30_000)
            if hit("slow"):
                latency = 92_000  # above the target of 75 ms, below the alert line of 100 ms
            if hit("very slow"):
                latency = generator.randrange(140_000, 900_000)
            failed = hit("error") or generator.random() < 0.005
            fell_back = failed or hit("fallback") or generator.random() < 0.02
            found.append(
                prediction(
                    at,
                    source="update" if rescoring else "insert",
                    role="challenger" if generator.random() < 0.05 else "champion",
                    model_version=CHAMPION,
                    latency_us=None if generator.random() < 0.02 else latency,
                    cold=generator.random() < 0.02,
                    cache_hit=bool(rescoring and not hit("no cache") and generator.random() < 0.9),
                    fallback_reason="error" if failed else "bar_missing" if fell_back else None,
                    error_sqlstate="22012" if failed else None,
                )
            )
            if generator.random() < 0.1:
                bad = {"latency_us": 5_000_000, "error_sqlstate": "22012", "fallback_reason": "error"}
                ignored = [{"source": "backfill"}, {"role": "shadow"}, {"source": "external"}][generator.randrange(3)]
                found.append(prediction(at, model_version=CHAMPION, **bad, **ignored))
            if generator.random() < 0.05:
                found.append(prediction(at, role="rule", model_version=None, fallback_reason="not_in_rollout"))
    return found + calls_of_quiet_days()


def calls_of_quiet_days():
    """A call every four minutes: too few for the rules that look at minutes."""
    found = []
    for day in QUIET_DAYS:
        for number in range(90):
            time = at(day, "09:00", 5) + 4 * number * MINUTE
            clock = time.strftime("%H:%M")
            if day == 23:  # everything fails for well over an hour
                failed, fell_back = "11:00" <= clock < "12:40", False
            else:  # seven fallbacks, four of them errors, are within one hour for four minutes
                failed = clock in ("10:00", "10:04", "10:08", "10:56")
                fell_back = clock in ("10:12", "10:16", "10:20")
            found.append(
                prediction(
                    time,
                    model_version=CHAMPION,
                    latency_us=5_000,
                    fallback_reason="error" if failed else "bar_missing" if fell_back else None,
                    error_sqlstate="22012" if failed else None,
                )
            )
    return found


def counted(row):
    """A row of the log as the model takes it, or None when no rate may count it."""
    if row["source"] not in ("insert", "update") or row["role"] not in ("champion", "challenger"):
        return None
    return Call(
        row["predicted_at"], row["fallback_reason"] is not None, row["error_sqlstate"] is not None,
        row["source"] == "update", row["cache_hit"], row["latency_us"], row["cold"],
    )  # fmt: skip


def at(day, clock, second=0):
    hour, minute = map(int, clock.split(":"))
    return START + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)


SWITCHES = (
    (at(1, "12:00"), "enabled", True),
    (at(3, "15:02", 30), "breaker", True),
    (at(3, "15:09"), "breaker", False),
    (at(4, "15:00", 20), "breaker", True),
    (at(4, "15:00", 50), "breaker", False),  # within one minute: nobody sees it
    (at(6, "16:00", 10), "loaded", False),
    (at(6, "16:01", 30), "loaded", True),
    (at(7, "10:00"), "triggers", 2),
    (at(7, "10:08"), "triggers", 0),
    (at(8, "10:00"), "triggers", 1),
    (at(8, "10:15"), "triggers", 0),
    (at(12, "09:00"), "enabled", False),
    (at(12, "09:10"), "loaded", False),  # nothing to say while ML is off
    (at(12, "09:20"), "loaded", True),
    (at(12, "09:30"), "enabled", True),
    (at(13, "03:00"), "jobs failed", 1),
    (at(13, "03:09"), "jobs failed", 2),
    (at(13, "03:20"), "jobs failed", 0),
    (at(14, "05:00"), "jobs failed", 1),
    (at(14, "05:01"), "jobs failed", 0),  # for one minute: nothing to say
    (at(20, "17:00"), "ticking", False),
    (at(20, "17:40"), "ticking", True),
    (at(30, "03:00"), "partitions", None),
)
DROPS = (at(5, "11:59", 50), at(5, "12:00", 5), at(14, "03:00", 1))
SCORED = (
    (at(9, "14:40", 3), True), (at(9, "14:41", 2), False), (at(9, "14:41", 4), True), (at(9, "14:58", 0), True),
    (at(22, "02:00", 0), False),
)  # fmt: skip
# Evaluations by mistake for a time that has not come: while nothing is wrong, the breaker is open, everything fails,
# features have drifted, and one after the other.
MISTAKES = {
    at(1, "11:00"): 1, at(3, "15:05"): 1, at(5, "06:00"): 1, at(23, "12:20"): 1, at(23, "12:25"): 2, at(26, "15:30"): 1,
}  # fmt: skip
FAR = datetime(2124, 1, 1, 0, 0, 30, tzinfo=UTC)
NIGHTS = tuple(at(day, "02:00", 7) for day in range(1, DAYS + 1) if day not in (16, 17))
DRIFT = {
    # Day of the run: feature distance, score distance, features with an issue; None: too few predictions.
    4: (0.12, 0.05, 0), 5: (0.31, 0.30, 0), 6: (0.4, 0.42, 2), 7: (None, None, None), 8: (0.29, 0.1, 1), 9: (0.1, 0.1, 0),
    20: (0.5, 0.1, 0),  # and no run after it
}  # fmt: skip
PERFORMANCE = {
    # Day of the run: per version, metrics that are judged, degraded ones, and calibration error, lower end, labels.
    10: {"v0001": (5, 0, 0.02, 0.01, 900), "v0002": (5, 1, 0.09, 0.06, 900)},
    11: {"v0001": (5, 2, 0.07, 0.04, 900), "v0002": (5, 0, 0.09, 0.06, 150)},
    12: {"v0002": (0, 0, 0.09, None, 900)},
    13: {"v0001": (5, 0, 0.01, 0.005, 900), "v0002": (5, 0, 0.02, 0.01, 900)},
}


def evaluation_times(generator):
    """Every minute around what happens, else after pauses of minutes to hours; clocks that jump ahead and back."""
    watched = [(time, 17 if what == "triggers" else 4) for time, what, _ in SWITCHES]
    watched += [(time, 12) for time in (DROPS[0], DROPS[2], SCORED[0][0], SCORED[3][0], SCORED[4][0])]
    watched += [(time, 2) for time in NIGHTS if time.day % 5 == 0]
    watched += [(time, 15) for time in MISTAKES]
    watched += [(at(7, "16:30"), 15), (at(23, "11:00"), 130), (at(24, "10:50"), 20)]
    time = START + timedelta(seconds=5)
    found = []
    while time < START + timedelta(days=DAYS):
        found.append(time)
        if any(-2 * MINUTE <= time - moment <= length * MINUTE for moment, length in watched):
            time += MINUTE
        else:
            (step,) = generator.choices([1, 5, 20, 59, 60, 61, 240], weights=[3, 3, 4, 10, 40, 10, 30])
            ahead = time + step * MINUTE
            soon = [moment - 2 * MINUTE for moment, _ in watched]
            time = min([ahead, *(moment for moment in soon if time < moment < ahead)])
        if generator.random() < 0.03:
            found.append(time - generator.randrange(1, 500) * MINUTE)  # a clock that was set back
    # A clock of the caller two hours ahead for one evaluation: the true time has nothing to add until it gets there.
    found.insert(found.index(next(time for time in found if time > at(18, "16:00"))), at(18, "18:00"))
    return found


@pytest.fixture
def month(db):
    """A database with the month's log and states that are known by their time, and the world as the model sees it."""
    generator = random.Random(20300301)  # noqa: S311  a scenario, no secret
    for (name,) in db.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ml_predictions'::regclass"
    ).fetchall():
        db.execute(f"DROP TABLE {name}")
    weeks = 4
    db.execute("SELECT ml.create_prediction_partitions(%s, %s)", (START, weeks))
    until = datetime(2024, 2, 26, tzinfo=UTC) + timedelta(weeks=weeks + 1)
    log = calls_of_the_month(generator)
    with db.cursor() as cursor, cursor.copy(f"COPY ml_predictions ({', '.join(COLUMNS)}) FROM STDIN") as copy:
        for row in log:
            copy.write_row([row[column] for column in COLUMNS])
    db.execute("ANALYZE ml_predictions")

    world = World(partitions_until=[(START, until)], drops=list(DROPS), scored=list(SCORED))
    for time in DROPS:
        db.execute(
            "INSERT INTO ml_log_drops (dropped_at, event_id, error_sqlstate, error_message) VALUES (%s, gen_random_uuid(), '23514', 'no partition')",
            (time,),
        )
    with db.transaction():
        # As a restore does: nothing is scored or logged.
        db.execute("SET LOCAL session_replication_role = replica")
        for time, logged in SCORED:
            event, scoring = uuid.uuid4(), {"prediction_id": str(uuid.uuid4()), "scored_at": time.isoformat()}
            db.execute(
                "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence, ml_metadata)"
                " VALUES (%s, 'TEST', '1d', 'hammer', %s, 0.7, %s)",
                (event, time, json.dumps({"scoring": {**scoring, "event_id": str(event)}})),
            )
            if logged:
                db.execute(
                    "INSERT INTO ml_predictions (id, event_id, predicted_at, source, role) VALUES (%s, %s, %s, 'backfill', 'rule')",
                    (scoring["prediction_id"], event, time),
                )
    add_drift(db, world)
    add_performance(db, world)
    world.calls = sorted((call for call in map(counted, log) if call), key=lambda call: call.at)
    return world, world.calls, evaluation_times(generator)


def add_drift(db, world):
    baseline = value(
        db,
        "INSERT INTO ml_baselines (reason, model_version, window_from, window_to, predictions, sources)"
        " VALUES ('test', %s, %s, %s, 1000, '{insert}') RETURNING baseline_id",
        CHAMPION, START - timedelta(days=30), START,
    )  # fmt: skip
    for day, (feature, score, issues) in DRIFT.items():
        run = at(day, "02:00", 7)
        for subject, name, distance, has_issue in (
            ("feature", "rsi_14", feature, (issues or 0) > 0),
            ("feature", "atr_14", None if feature is None else feature / 2, (issues or 0) > 1),
            ("score", "ml_confidence", score, False),
        ):
            verdict = "insufficient_data" if distance is None else "ok"
            quality = "insufficient_data" if issues is None else "issue" if has_issue else "ok"
            db.execute(
                "INSERT INTO ml_drift (run_at, model_version, baseline_id, window_from, window_to, subject, feature, method,"
                " value, n_baseline, n_current, verdict, quality_verdict)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, 'jensen_shannon', %s, 1000, 800, %s, %s)",
                (
                    run,
                    CHAMPION,
                    baseline,
                    run - timedelta(days=1),
                    run,
                    subject,
                    name,
                    0.9 if distance is None else distance,
                    verdict,
                    quality,
                ),
            )
        world.drift.append((run, {"feature_drift": feature, "prediction_drift": score, "data_quality": issues}))


def add_performance(db, world):
    for day, versions in PERFORMANCE.items():
        run = at(day, "02:00", 7)
        seen = {"performance_degraded": [], "calibration": []}
        for version, (judged, degraded, error, low, labels) in versions.items():
            metrics = [
                ("estimated", f"metric {number}", "degraded" if number < degraded else "ok") for number in range(judged)
            ]
            metrics.append(("realised", "ece", "no_baseline"))
            for kind, metric, verdict in metrics:
                db.execute(
                    "INSERT INTO ml_performance (run_at, model_version, pattern_type, kind, metric, window_from, window_to,"
                    " predictions, labelled, value, low, verdict) VALUES (%s, %s, '', %s, %s, %s, %s, 1000, %s, %s, %s, %s)",
                    (run, version, kind, metric, run - timedelta(days=30), run, labels, error, low, verdict),
                )
            seen["performance_degraded"].append((version, float(degraded), float(degraded), judged))
            seen["calibration"].append((version, error, low, labels))
        world.performance.append((run, seen))


def switch(db, world, time, what, to):
    """Change a state of the database, and of the world."""
    if what == "enabled":
        db.execute("UPDATE ml_settings SET enabled = %s", (to,))
        world.enabled.append((time, to))
    elif what == "loaded":
        names = ("hidden", f"score_{CHAMPION}") if to else (f"score_{CHAMPION}", "hidden")
        db.execute("ALTER FUNCTION ml_generated.{}(float8[]) RENAME TO {}".format(*names))
        world.champion_loaded.append((time, to))
    elif what == "breaker":
        action = "breaker_open" if to else "breaker_close"
        db.execute("INSERT INTO ml_deployments (action, version, reason) VALUES (%s, %s, 'errors')", (action, CHAMPION))
        world.breaker_open.append((time, to))
    elif what == "triggers":
        for number, name in enumerate(("pattern_events_90_log_insert", "pattern_events_90_log_update")):
            db.execute(f"ALTER TABLE pattern_events {'DISABLE' if number < to else 'ENABLE'} TRIGGER {name}")
        world.triggers_missing.append((time, to))
    elif what == "jobs failed":
        for number, name in enumerate(("nightly", "tick")):
            error = "labels: division by zero (22012)" if number < to else None
            db.execute("UPDATE ml_jobs SET last_error = %s WHERE job = %s", (error, name))
        world.failed_jobs.append((time, to))
    elif what == "partitions":
        db.execute("SELECT ml.create_prediction_partitions(%s, 4)", (time,))
        latest = value(
            db,
            "SELECT max(substring(pg_get_expr(relpartbound, oid) FROM $$TO \\('([^']+)'\\)$$)) FROM pg_class WHERE relispartition",
        )
        world.partitions_until.append((time, datetime.fromisoformat(latest).astimezone(UTC)))


def job(db, name, time):
    db.execute(
        "INSERT INTO ml_jobs (job, last_run_at) VALUES (%s, %s)"
        " ON CONFLICT (job) DO UPDATE SET last_run_at = excluded.last_run_at",
        (name, time),
    )


def timeline(db):
    names = ("occurred_at", "rule", "key", "from_state", "to_state", "cause")
    found = rows(db, f"SELECT {', '.join(names)} FROM ml_alert_transitions ORDER BY id")
    return [Transition(row["occurred_at"].astimezone(UTC), *(row[name] for name in names[1:])) for row in found]


def test_rules_are_those_of_the_model(db):
    found = rows(
        db,
        """
        SELECT rule, severity, metric, comparison, coalesce(r.threshold, (to_jsonb(s) ->> r.threshold_setting)::float8) AS threshold,
            for_duration, evaluation_window, minimum_count, 'pagerduty' = ANY (channels) AS pages, alert_type, r.enabled
        FROM ml_alert_rules AS r CROSS JOIN ml_settings AS s
        """,
    )
    assert all(row["enabled"] for row in found)
    assert {row["rule"] for row in found} == set(RULES)
    for row in found:
        rule = RULES[row["rule"]]
        assert (row["severity"], row["metric"], row["comparison"], row["threshold"]) == (
            rule.severity, rule.metric, rule.comparison, rule.threshold,
        )  # fmt: skip
        assert (row["for_duration"], row["evaluation_window"]) == (timedelta(minutes=rule.minutes), rule.window)
        assert (row["minimum_count"], row["pages"], row["alert_type"]) == (rule.least, rule.pages, rule.alert_type)


def test_timeline_of_a_month(db, month):
    world, calls, times = month
    model = AlertModel(calls, world.observe)
    db.execute("SET timezone = 'America/New_York'")  # days of 23 and 25 hours must change nothing
    switches, nights, ticking = list(SWITCHES), list(NIGHTS), True
    mistakes, expected, skipped, corrected = dict(MISTAKES), [], 0, 0
    for time in times:
        for moment in [moment for moment in mistakes if moment <= time]:
            for number in range(mistakes.pop(moment)):
                changes = model.evaluate(FAR + number * MINUTE, datetime.now(UTC))
                report = value(db, "SELECT ml.evaluate_alerts(%s)", FAR + number * MINUTE)
                assert report["status"] == "done" and report["errors"] == {}
                expected += changes
        while switches and switches[0][0] <= time:
            moment, what, to = switches.pop(0)
            if what == "ticking":
                ticking = to
            else:
                switch(db, world, moment, what, to)
        while nights and nights[0] <= time:
            world.nightly_runs.append(nights.pop(0))
            job(db, "nightly", world.nightly_runs[-1])
        if ticking and time >= max(world.ticks, default=START):
            world.ticks.append(time)
            job(db, "tick", time)
        changes = model.evaluate(time, datetime.now(UTC))
        report = value(db, "SELECT ml.evaluate_alerts(%s)", time)
        if changes is None:
            assert report["status"] == "skipped"
            skipped += 1
            continue
        assert report["status"] == "done" and report["errors"] == {}
        if "mistaken_evaluation" in report:
            assert report["minutes"] == 1
            corrected += 1
        expected += changes
    found = timeline(db)
    print_timeline(found, len(times), len(calls))
    assert sorted(found) == sorted(expected)

    # The month is worth the comparison: every rule fired or nearly did, data ran out, clocks went back.
    assert skipped >= 10 and corrected == len(MISTAKES)
    assert {change.cause for change in found} == {"breached", "recovered", "no_data", "settled"}
    fired = {change.rule for change in found if change.after == "firing"}
    on_a_quiet_day = {
        change.rule for change in found if change.after == "firing" and change.at.date() == at(23, "00:00").date()
    }
    assert on_a_quiet_day == {"error_high_hour", "fallback_high_hour", "health_critical"}
    assert fired == set(RULES), set(RULES) - fired
    nearly = {change.rule for change in found if change.before == "pending" and change.after == "normal"}
    assert nearly >= {name for name, rule in RULES.items() if rule.metric in RATES}
    states = {(row["rule"], row["key"]): row["state"] for row in rows(db, "SELECT rule, key, state FROM ml_alerts")}
    assert states == {name: alert.state for name, alert in model.alerts.items()}

    # One notification per channel for each firing, and one for its end.
    ends = {"firing": sum(c.after == "firing" for c in found), "resolved": sum(c.after == "resolved" for c in found)}
    for transition, count in ends.items():
        row = one(
            db,
            "SELECT count(DISTINCT (rule, key, firing_since)) AS alerts, count(*) AS sent FROM ml_notifications WHERE transition = %s",
            transition,
        )
        assert row["alerts"] == count
        assert count < row["sent"] < 2 * count  # some go to the webhook alone


def print_timeline(changes, evaluations, calls):
    lines = [f"\n{evaluations} evaluations, {calls:,} counted calls, {len(changes)} changes of state"]
    for change in sorted(changes):
        if "firing" in (change.before, change.after):
            what = f"{change.before:>8} -> {change.after:9}({change.cause})"
            lines.append(f"{change.at:%d %b %H:%M}  {change.rule:24}{change.key:8}{what}")
    sys.stdout.write("\n".join(lines) + "\n")
