"""What monitoring costs on a large log: one million predictions over 180 days, each view and function timed.

Run it with ``python tests/benchmarks/monitoring.py``; ``--json FILE`` writes the figures, ``--only tick`` measures what
has that in its name. Without ``--database-url`` it fills a throw-away server (2 GB); with it, a migrated database, which
is filled when its log is empty and can be measured again. Exit code 1 when something takes longer than it may.
"""

import argparse
import json
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from rich.console import Console
from rich.table import Table

from trainer.database import connect
from trainer.migrations import upgrade
from trainer.resources import resource
from trainer.server import ThrowawayServer

DAYS = 180
# Two million random numbers would be the slowest part: every prediction takes one of a thousand sets of values. One in
# ten is made by the rule alone, one in ten again by an UPDATE, one in twenty falls back; every tenth has a shadow.
FILL = """
    WITH pool AS MATERIALIZED (
        SELECT n, random() AS ml, random() AS rule, random() AS win,
            (exp(6.7 + 0.5 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())))::integer AS latency_us,
            array(SELECT random() * n FROM generate_series(1, {features})) AS features
        FROM generate_series(0, 999) AS n
    ),
    drawn AS (
        SELECT i, gen_random_uuid() AS event_id, now() - (1 - i / {count}::float8) * interval '{days} days' AS at, pool.*
        FROM generate_series(1, {count}) AS i JOIN pool ON pool.n = (i * 7919::bigint) % 1000
    ),
    events AS (
        INSERT INTO pattern_events (
            id, symbol, timeframe, pattern_type, detected_at, rule_confidence, ml_confidence, blended_confidence,
            model_version, outcome_label, outcome_at
        )
        SELECT event_id, 'S' || n % 50, '1d', (ARRAY['bullish_engulfing', 'bearish_engulfing', 'hammer', 'doji'])[1 + n % 4],
            at, rule, CASE WHEN n % 10 > 0 THEN ml END, CASE WHEN n % 10 > 0 THEN 0.6 * ml + 0.4 * rule ELSE rule END,
            CASE WHEN n % 10 > 0 THEN '{version}' END,
            CASE WHEN at < now() - interval '20 days' THEN CASE WHEN win < 0.2 + 0.3 * ml THEN 'win' ELSE 'loss' END END,
            CASE WHEN at < now() - interval '20 days' THEN at + interval '10 days' END
        FROM drawn
    )
    INSERT INTO ml_predictions (
        event_id, predicted_at, source, role, arm, model_version, ml_confidence_raw, ml_confidence, rule_confidence,
        blended_confidence, prediction_class, features, latency_us, cold, cache_hit, fallback_reason, error_sqlstate
    )
    SELECT event_id, at, CASE WHEN n % 10 = 1 THEN 'update' ELSE 'insert' END,
        CASE WHEN n % 10 = 0 THEN 'rule' WHEN n % 10 = 2 THEN 'shadow' ELSE 'champion' END, 'ml',
        CASE WHEN n % 10 > 0 THEN '{version}' END,
        score, score, rule, coalesce(0.6 * score + 0.4 * rule, rule),
        CASE WHEN score > 0.5 THEN 'win' ELSE 'rest' END, CASE WHEN n % 10 > 0 THEN features END,
        latency_us, n % 200 = 3, n % 20 = 1, reason, CASE reason WHEN 'score_error' THEN '22012' END
    FROM drawn
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n % 10 = 0 THEN 'not_in_rollout' WHEN n % 40 = 3 THEN 'bar_missing' WHEN n % 80 = 5 THEN 'score_error' END
    ) AS why (reason)
    CROSS JOIN LATERAL (SELECT CASE WHEN reason IS NULL THEN ml END) AS scored (score)
"""


class Measured(NamedTuple):
    """A statement, how long it may take in milliseconds, and what must precede each of its runs, untimed."""

    name: str
    statement: str
    limit_ms: float | None = None
    before: str | None = None


UNDO_ROLL_UP = "TRUNCATE ml_metrics_1m, ml_metrics_1h; DELETE FROM ml_jobs"
# As if no job had run for some time.
PAUSE = (
    "UPDATE ml_jobs SET rolled_up_until = date_trunc('minute', now() - interval '{0}'), last_run_at = now() - interval '{0}',"
    " final_until = date_trunc('minute', now() - interval '{0}'), checkpoint_at = NULL WHERE job = 'roll_up';"
    " UPDATE ml_jobs SET last_run_at = now() - interval '2 days' WHERE job <> 'roll_up';"
    " UPDATE ml_alerts SET last_evaluated_at = date_trunc('minute', now() - interval '{0}')"
)

BEFORE_ROLL_UP = (
    Measured(
        "metrics_by_minute, 1 h, never rolled up",
        "SELECT count(*) FROM ml.metrics_by_minute(now() - interval '1 hour', now())",
        1000,
    ),
    Measured(
        "metrics_by_minute, 1 day, never rolled up",
        "SELECT count(*) FROM ml.metrics_by_minute(now() - interval '1 day', now())",
        1000,
    ),
    Measured(
        "metrics_by_minute, 30 days, never rolled up",
        "SELECT count(*) FROM ml.metrics_by_minute(now() - interval '30 days', now())",
    ),
    Measured(
        "metrics_by_hour, 180 days, never rolled up",
        "SELECT count(*) FROM ml.metrics_by_hour(now() - interval '180 days', now())",
    ),
    Measured("roll_up, first call", "SELECT ml.roll_up()", None, UNDO_ROLL_UP),
)
AFTER_ROLL_UP = (
    Measured("recompute_metrics, 2 days", "SELECT ml.recompute_metrics(now() - interval '2 days', now())"),
    Measured("metrics_by_minute, 1 h", "SELECT count(*) FROM ml.metrics_by_minute(now() - interval '1 hour', now())", 1000),
    Measured("metrics_by_minute, 1 day", "SELECT count(*) FROM ml.metrics_by_minute(now() - interval '1 day', now())", 1000),
    Measured("metrics_by_minute, 30 days", "SELECT count(*) FROM ml.metrics_by_minute(now() - interval '30 days', now())", 1000),
    Measured("metrics_by_hour, 180 days", "SELECT count(*) FROM ml.metrics_by_hour(now() - interval '180 days', now())", 1000),
    Measured(
        "quantiles of 180 days, merged from hours",
        "SELECT ml.histogram_quantile(h, 0.5), ml.histogram_quantile(h, 0.95), ml.histogram_quantile(h, 0.99) FROM ("
        "SELECT ml.merge_histograms(latency_histogram) AS h FROM ml.metrics_by_hour(now() - interval '180 days', now())) AS m",
        1000,
    ),
    Measured("ml_health", "SELECT ml_health()", 20),
    Measured("ml_metrics", "SELECT ml_metrics()", 1000),
    Measured("ml_alerts", "SELECT ml_alerts()", 1000),
    Measured("measure_performance, 30 days", "SELECT count(*) FROM ml.measure_performance()", 1000),
    Measured("estimate_performance, 30 days", "SELECT count(*) FROM ml.estimate_performance()"),
    Measured("reliability_table, 30 days", "SELECT count(*) FROM ml.reliability_table()", 1000),
    Measured("run_performance, 30 days", "SELECT ml.run_performance()", 5000),
)  # fmt: skip

# A full view, and the day that a dashboard opens with.
VIEWS = sorted(file.stem for file in resource("sql", "monitoring", "panels").glob("v_ml_*.sql"))
PANELS = tuple(
    Measured(f"{view}{name}", f"SELECT count(*) FROM (SELECT * FROM ml.{view} {where} OFFSET 0) AS rows", 1000)
    for view in VIEWS
    for name, where in (("", ""), (", 24 h", "WHERE time BETWEEN now() - interval '24 hours' AND now()"))
)
OTHERS = (
    Measured("ml_log, last hour", "SELECT count(*) FROM ml_log WHERE logged_at > now() - interval '1 hour'", 1000),
    Measured("ml_deployment_audit", "SELECT count(events_scored) FROM ml_deployment_audit", 1000),
    Measured("ml_feature_drift", "SELECT count(sentence) FROM ml_feature_drift", 1000),
    Measured("ml_model_performance", "SELECT count(verdict) FROM ml_model_performance", 1000),
)
# Last of all, because a pause leaves the roll-ups behind.
JOBS = (
    Measured("tick, one minute", "SELECT ml.tick()", 200, PAUSE.format("1 minute")),
    Measured("roll_up, one minute", "SELECT ml.roll_up()", 200, PAUSE.format("1 minute")),
    Measured("tick, after a day", "SELECT ml.tick()", None, PAUSE.format("1 day")),
    Measured("nightly", "SELECT ml.nightly()", None, PAUSE.format("1 day")),
    Measured("apply_retention, nothing to do", "SELECT ml.apply_retention()"),
    Measured("tick, after 30 days", "SELECT ml.tick()", None, PAUSE.format("30 days")),
)  # fmt: skip
BEFORE_ROLL_UP += tuple(item._replace(name=f"{item.name}, never rolled up") for item in PANELS)
AFTER_ROLL_UP += (*PANELS, *OTHERS, *JOBS)


def fill(connection: psycopg.Connection[Any], count: int, days: int = DAYS) -> None:
    """Put that many predictions and their events, spread evenly over the last days, into an empty log."""
    version, features = connection.execute(
        "SELECT version, cardinality(feature_names) FROM ml_models LIMIT 1"
    ).fetchone() or ("toy", 52)
    connection.execute(
        "SELECT ml.create_prediction_partitions(now() - %s * interval '1 day', %s)", (days, days // 7 + 4)
    )
    connection.execute("ALTER TABLE pattern_events DISABLE TRIGGER USER")
    connection.execute(FILL.format(count=count, days=days, version=version, features=features).encode())
    connection.execute("ALTER TABLE pattern_events ENABLE TRIGGER USER")
    connection.execute("VACUUM (ANALYZE)")


def measure(connection: psycopg.Connection[Any], what: tuple[Measured, ...], rounds: int) -> dict[str, list[float]]:
    """Return the times of each statement in milliseconds; one more run precedes them, untimed."""
    figures: dict[str, list[float]] = {}
    for item in what:
        times = []
        for _ in range(rounds + 1):
            if item.before:
                connection.execute(item.before.encode())
            started = time.perf_counter()
            connection.execute(item.statement.encode()).fetchall()
            times.append((time.perf_counter() - started) * 1e3)
        figures[item.name] = times[1:]
    return figures


def catch_up(connection: psycopg.Connection[Any]) -> int:
    """Roll up until nothing is left; return how many calls that took."""
    for calls in range(1, 1000):
        (report,) = connection.execute("SELECT ml.roll_up()").fetchone() or ({},)
        if not report["left_minutes"]:
            return calls
    raise RuntimeError("the roll-up does not come to an end")


def main() -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--database-url", help="a migrated database; default: a throw-away server")
    parser.add_argument("--predictions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    parser.add_argument("--json", type=Path, help="write all times to this file")
    options = parser.parse_args()
    figures: dict[str, list[float]] = {}
    console = Console(width=120)
    with ExitStack() as stack:
        url = options.database_url
        if not url:
            server = stack.enter_context(ThrowawayServer())
            url = f"postgresql://{server.user}@:{server.port}/postgres?host={server.host}"
            upgrade(url)
        connection = stack.enter_context(connect(url, autocommit=True))
        if connection.execute("SELECT NOT EXISTS (SELECT FROM ml_predictions)").fetchone() == (True,):
            started = time.perf_counter()
            fill(connection, options.predictions)
            console.print(f"filled in {time.perf_counter() - started:.0f} s")
        before = tuple(item for item in BEFORE_ROLL_UP if options.only in item.name)
        after = tuple(item for item in AFTER_ROLL_UP if options.only in item.name)
        if before:
            connection.execute(UNDO_ROLL_UP)
            figures |= measure(connection, before, options.rounds)
        started = time.perf_counter()
        calls = catch_up(connection)
        console.print(f"rolled up all of it in {calls} calls, {time.perf_counter() - started:.1f} s")
        connection.execute("VACUUM (ANALYZE) ml_metrics_1m, ml_metrics_1h, ml_jobs")
        figures |= measure(connection, after, options.rounds)
    table = Table("", "median ms", "fastest ms", "slowest ms", "may take ms")
    slow = []
    for item in (*before, *after):
        times = figures[item.name]
        if item.limit_ms and statistics.median(times) > item.limit_ms:
            slow.append(item.name)
        table.add_row(
            item.name,
            f"{statistics.median(times):.1f}",
            f"{min(times):.1f}",
            f"{max(times):.1f}",
            f"{item.limit_ms or '':}",
        )
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(figures))
    for name in slow:
        console.print(f"too slow: {name}")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
